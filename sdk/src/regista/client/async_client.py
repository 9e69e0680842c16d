"""The asynchronous client: publish, load, and all calls to the services.

`regista.client.sync_client` is the same for synchronous code.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from regista.calls.access import AccessCalls
from regista.calls.audit import AuditCalls
from regista.calls.cleanup import CleanupCalls
from regista.calls.dead_letters import DeadLetterCalls
from regista.calls.environments import EnvironmentCalls
from regista.calls.models import ModelCalls
from regista.calls.promotion import PromotionCalls
from regista.calls.reports import ReportCalls
from regista.calls.requests import model_and_version
from regista.calls.rollouts import RolloutCalls
from regista.calls.versions import VersionCalls
from regista.calls.waiting import WaitingCalls
from regista.client.async_publication import AsyncPublication
from regista.client.profile import Profile, read_profile
from regista.client.transport import Patience, Transport
from regista.errors import Failed, Refused, RegistaError, RuleBroken, TimedOut
from regista.files import Progress, manifest, signing_key
from regista.loading.cache import Cache
from regista.loading.loaded import Loaded
from regista.loading.usage import CLOSE_SECONDS, MODEL_USED, Usage, Used
from regista.loading.usage import TOPIC as USAGE_TOPIC
from regista.publishing import publication
from regista.publishing.contract import check_message, check_publication
from regista.publishing.kafka import KafkaSender
from regista.publishing.publication import TrainedMessage
from regista.publishing.tracking import Run
from regista.publishing.unawaited import UNAWAITED
from regista.publishing.upload_limits import planned
from regista.wire.digests import FileEntry, Manifest
from regista.wire.keys import SigningKey

_of_parent: list[object] = []
"""Connections of the parent process, kept in a forked child: deleting them would close them in the parent."""


class AsyncClient(
    ModelCalls,
    WaitingCalls,
    VersionCalls,
    PromotionCalls,
    RolloutCalls,
    EnvironmentCalls,
    AuditCalls,
    ReportCalls,
    CleanupCalls,
    DeadLetterCalls,
    AccessCalls,
):
    """All calls to Regista over one connection pool.

    `async with AsyncClient() as client: …` closes it and reports usage.
    """

    call_soon: Callable[[Callable[[], object]], None] | None = None
    """Schedules a call on the loop from other threads."""

    def __init__(self, profile: Profile | None = None, *, patience: Patience | None = None) -> None:
        self.profile = profile or read_profile()
        self._patience = patience or Patience()
        self._key: SigningKey | None = None
        self._connect()

    def _connect(self) -> None:
        super().__init__(Transport(self.profile, self._patience))
        self._cache = Cache(self.profile.cache, self._transport)
        self._kafka = KafkaSender(self.profile, self._patience)
        self._usage = Usage(self._report, self.profile.usage_window, lambda: str(uuid.uuid4()))

    def after_fork(self) -> None:
        """Start over in a forked child: connections and counts belong to the parent."""
        _of_parent.append((self._transport, self._kafka, self._usage))
        self._connect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Report usage and close the connections, in about 10 seconds at most."""
        try:
            await self._usage.close()
        finally:
            try:
                await self._kafka.close()
            finally:
                await self._transport.close()

    @property
    def _on_kafka(self) -> bool:
        return bool(self.profile.kafka_bootstrap and self.profile.key_file)

    def _signing_key(self) -> SigningKey:
        if self._key is None:
            self._key = signing_key(Path(self.profile.need("key_file")))
        return self._key

    async def publish(
        self,
        model: str,
        artifact: str | Path | None = None,
        run: Run | None = None,
        *,
        via: str = "",
        progress: Progress | None = None,
        follow_links: bool = False,
        kind: str = "model",
        training: Mapping[str, Any] | None = None,
        signature: Mapping[str, Any] | None = None,
        creator: str | None = None,
        on_behalf_of: str = "",
        run_url: str = "",
        description: str | None = None,
        owner: str | None = None,
        tier: str | None = None,
        tags: Mapping[str, str] | None = None,
        draft: bool = False,
        version: str = "",
        exact: bool = False,
        base: int | str | None = None,
        parents: Sequence[Mapping[str, Any]] = (),
    ) -> AsyncPublication:
        """Upload the artifact (a file or folder) and publish ModelTrained; `wait()` then gives the version.

        ModelTrained is sent to Kafka, signed, where Kafka is configured, else over HTTP; `via` ("kafka",
        "http") selects one. `run` comes from `regista.track`; `training` and `signature` add to it or replace
        it. `creator` defaults to the profile's. `draft` registers without the mandatory metadata. `version`
        claims a version or a bump, `exact` refuses instead of raising the claim, `base` is the version it was
        made from. `description`, `owner`, `tier` and `tags` describe a new model. `follow_links` reads links
        to files as files, as in a snapshot of Hugging Face.

        Raises Refused before the upload when metadata are missing or wrong, and over HTTP when the registry
        refuses the version; other RegistaErrors. A message on Kafka has its outcome later: `wait()` raises
        it, and a warning at the end of the program reports what was not waited for.
        """
        key = self._key_for(via)
        if creator is None:
            creator = self.profile.creator or (self._signing_key().subject if self.profile.key_file else "")
        data = await asyncio.to_thread(
            publication.document,
            model,
            run,
            kind=kind,
            training=training,
            signature=signature,
            creator=creator,
            on_behalf_of=on_behalf_of,
            run_url=run_url,
            description=description,
            owner=owner,
            tier=tier,
            tags=tags,
            draft=draft,
            version=version,
            exact=exact,
            base=base,
            parents=parents,
        )
        plan = (
            None if artifact is None else await planned(self._transport, artifact, follow_links=follow_links)
        )
        whole = data if plan is None else data | {"artifact": plan.as_artifact()}
        await asyncio.to_thread(check_publication, whole, creator_known=key is None)
        if plan is not None:
            data["artifact"] = await publication.upload(self._transport, plan.files, progress)
        return await self._send_trained(data, key)

    async def publish_document(self, data: Mapping[str, Any], *, via: str = "") -> AsyncPublication:
        """Publish ModelTrained's data as they are; `upload` has uploaded the artifact before.

        Data that the registry could not even read raise Refused or TooLarge and are not sent.
        """
        key = self._key_for(via)
        await asyncio.to_thread(check_message, data)
        return await self._send_trained(data, key)

    def _key_for(self, via: str) -> SigningKey | None:
        """Return the signing key for Kafka, None for HTTP."""
        on_kafka = via == "kafka" or (via != "http" and self._on_kafka)
        return self._signing_key() if on_kafka else None

    async def upload(
        self, artifact: str | Path, progress: Progress | None = None, *, follow_links: bool = False
    ) -> dict[str, Any]:
        """Upload an artifact (a file or folder), and return ModelTrained's `artifact`."""
        plan = await planned(self._transport, artifact, follow_links=follow_links)
        return await publication.upload(self._transport, plan.files, progress)

    async def _send_trained(self, data: Mapping[str, Any], key: SigningKey | None) -> AsyncPublication:
        model, digest = str(data["model"]), str(data.get("artifact", {}).get("digest", ""))
        if key is None:
            found = await publication.register(self._transport, data)
            if isinstance(found, Refused):
                raise found
            return AsyncPublication(self._transport, TrainedMessage("", model, digest, found))
        event = publication.event(publication.MODEL_TRAINED, model, data, key)
        topic = self.profile.topic(publication.TOPIC)
        await self._kafka.send(topic, event)
        sent = TrainedMessage(event.id, model, digest, publisher=key.subject, topic=topic)
        UNAWAITED.add(self.profile, sent)
        return AsyncPublication(self._transport, sent)

    async def load(
        self, reference: str, *, environment: str = "production", progress: Progress | None = None
    ) -> Loaded:
        """Return the verified files of `model@production`, `model@alias`, `model@3` or `model@1.2.0`.

        Files that are not in the cache are downloaded; every file is verified. For a version that was just
        published the call waits until the artifact service has verified its bytes. `environment` is where the
        use is counted. Raises NotFound, RuleBroken (recalled, retired, a draft, not released), Damaged,
        TimedOut and Unavailable.
        """
        version, expected = await self._find(reference)
        path = await self._cache.fetch(expected, progress)
        used = Used(version["model"], version.get("model_id", ""), version["number"], environment)
        loaded = Loaded(
            used.model,
            used.model_id,
            used.number,
            version.get("semver") or "",
            expected.digest,
            path,
            version,
            lambda count: self._count(used, count),
        )
        self._usage.start()
        loaded.used()
        return loaded

    def _count(self, used: Used, count: int) -> None:
        self._usage.record(used, count)
        if self.call_soon is not None and not self._usage.reporting:
            self.call_soon(self._usage.start)

    async def _find(self, reference: str) -> tuple[dict[str, Any], Manifest]:
        """Return the version and its manifest: one small request for an alias whose artifact is cached."""
        model, wanted = model_and_version(reference)
        if wanted.startswith("@"):
            found = await self.resolve(model, wanted[1:])
            _check_loadable(reference, found)
            digest = str(found.get("artifact_digest"))
            cached = await asyncio.to_thread(self._cache.manifest, digest)
            if cached is not None and found.get("artifact_state") == "released":
                return found, cached
            wanted = str(found["number"])
        version = await self._verified(reference, f"{model}@{wanted}")
        artifact = version.get("artifact")
        if not artifact:
            raise RuleBroken(
                "no_artifact",
                f"{reference} has no artifact",
                advice="Complete the draft, or load another version.",
            )
        expected = manifest([FileEntry(f["path"], f["size"], f["sha256"]) for f in artifact["files"]])
        if expected.digest != artifact["digest"]:
            raise Failed(
                "manifest_odd",
                f"the files listed for {reference} do not hash to its digest {artifact['digest']}",
            )
        return version, expected

    async def _verified(self, reference: str, found: str) -> dict[str, Any]:
        """Return the version once the artifact service has verified its bytes.

        Raises RuleBroken for a version that must not be loaded, and TimedOut.
        """
        try:
            async with asyncio.timeout(self._patience.total):
                for attempt in itertools.count():
                    version = await self.version(found)
                    _check_loadable(reference, version)
                    if version.get("artifact_state") or not version.get("artifact"):
                        break
                    await asyncio.sleep(self._patience.pause(attempt, None))
        except TimeoutError:
            detail = f"the artifact of {reference} is not verified after {self._patience.total:g} s"
            advice = "Load it again later: the artifact service is still verifying it."
            raise TimedOut("artifact_not_verified_yet", detail, advice=advice) from None
        return version

    async def close_at_exit(self) -> None:
        """Close while the interpreter exits: report usage, and drop silently what cannot be reported.

        Raises TimeoutError.
        """
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                for report in self._usage.take_unsent():
                    with contextlib.suppress(RegistaError):
                        await self._report(report.data, report.message_id)
        finally:
            await self.close()

    async def report_usage(self) -> None:
        """Report the counted uses now, instead of at the end of the window."""
        await self._usage.flush()

    async def _report(self, data: dict[str, Any], message_id: str) -> None:
        if self._on_kafka:
            await self._kafka.send(
                self.profile.topic(USAGE_TOPIC),
                publication.event(MODEL_USED, data["model"], data, self._signing_key(), message_id),
            )
        else:
            await self._transport.call("POST", "cleanup", "/usage", body=data, idempotency_key=message_id)


def _check_loadable(reference: str, version: Mapping[str, Any]) -> None:
    """Raise RuleBroken for a version that must not be loaded, even if its files are in the cache."""
    advice = "Load another version: `regista versions list MODEL` shows them."
    if version.get("recalled"):
        raise RuleBroken(
            "version_recalled",
            f"{reference} was recalled: {version['recalled']}",
            advice=f"{advice} Where it serves, roll back (`regista rollback`) or stop "
            "(`regista rollout stop`).",
        )
    if version.get("stage") == "Draft" and version.get("artifact"):
        detail = f"{reference} is a draft: its artifact is verified when its metadata is complete"
        raise RuleBroken(
            "version_draft",
            detail,
            advice="Complete it (`regista versions complete`), or load another version.",
        )
    if version.get("retired"):
        raise RuleBroken(
            "version_retired",
            f"{reference} was retired",
            advice=advice,
            facts={"retired": version["retired"]},
        )
    if (state := version.get("artifact_state")) not in {None, "", "released"}:
        raise RuleBroken(
            "artifact_not_released", f"the artifact of {reference} is {state}, not released", advice=advice
        )
