"""The asynchronous client: publish, load, and all calls to the services.

`regista.client.sync_client` is the same for synchronous code.
"""

from __future__ import annotations

import asyncio
import contextlib
import uuid
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from regista.calls.access import AccessCalls
from regista.calls.audit import AuditCalls
from regista.calls.cleanup import CleanupCalls
from regista.calls.dead_letters import DeadLetterCalls
from regista.calls.environments import EnvironmentCalls
from regista.calls.events import EventCalls
from regista.calls.issuers import IssuerCalls
from regista.calls.mirrors import MirrorCalls
from regista.calls.models import ModelCalls
from regista.calls.remarks import RemarkCalls
from regista.calls.reports import ReportCalls
from regista.calls.rollouts import RolloutCalls
from regista.calls.trusts import TrustCalls
from regista.calls.waiting import WaitingCalls
from regista.choices import Kind, Tier, Via
from regista.client.async_publication import AsyncPublication
from regista.client.patience import Patience
from regista.client.profile import Profile, read_profile
from regista.client.transport import Transport
from regista.errors import Refused, RegistaError
from regista.files import signing_key
from regista.loading.cache import Cache
from regista.loading.confirmed import Confirmed
from regista.loading.finding import Finder
from regista.loading.loaded import Loaded, warn_of_ancestors
from regista.loading.usage import CLOSE_SECONDS, MODEL_USED, Usage, Used
from regista.loading.usage import TOPIC as USAGE_TOPIC
from regista.progress import Progress, reporting
from regista.publishing import publication
from regista.publishing.contract import check_message, check_publication
from regista.publishing.kafka import KafkaSender
from regista.publishing.publication import TrainedMessage
from regista.publishing.publisher_role import check_role
from regista.publishing.tracking import Run
from regista.publishing.unawaited import UNAWAITED
from regista.publishing.upload_limits import planned
from regista.publishing.uploading import upload
from regista.shapes.registry import Artifact, Parent, Signature, Training
from regista.wire.keys import SigningKey

_of_parent: list[object] = []
"""Connections of the parent process, kept in a forked child: deleting them would close them in the parent."""


class AsyncClient(
    EventCalls,
    ModelCalls,
    WaitingCalls,
    RemarkCalls,
    RolloutCalls,
    EnvironmentCalls,
    AuditCalls,
    ReportCalls,
    CleanupCalls,
    MirrorCalls,
    DeadLetterCalls,
    AccessCalls,
    IssuerCalls,
    TrustCalls,
):
    """All calls to Regista over one connection pool.

    `async with AsyncClient() as client: …` closes it and reports usage. Answers are dictionaries of the
    shapes in `regista.shapes`; times in them are RFC 3339 in UTC, sizes are bytes, waits are seconds. A call
    raises the classes of `regista.errors`: NotConfigured, Unauthorized, Forbidden (a role is missing),
    NotFound, Invalid (a value that the service does not take), RuleBroken (a rule forbids it), Stale (it
    changed since `expected`), Unavailable after all retries, and what its own text names. Each error has
    `code`, `detail`, `advice` and `facts`.
    """

    call_soon: Callable[[Callable[[], object]], None] | None = None
    """Schedules a call on the loop from other threads."""

    def __init__(self, profile: Profile | None = None, *, patience: Patience | None = None) -> None:
        self.profile = profile or read_profile()
        self._patience = patience or Patience()
        self._key: SigningKey | None = None
        self.closed = False
        self._connect()

    def _connect(self) -> None:
        super().__init__(Transport(self.profile, self._patience))
        self._cache = Cache(self.profile.cache, self._transport)
        self._finder = Finder(
            self._cache, Confirmed(self.profile.cache / "confirmed", self.profile.url), self._patience
        )
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
        self.closed = True
        try:
            await self._usage.close()
        finally:
            try:
                await self._kafka.close()
            finally:
                await self._transport.close()

    @property
    def _on_kafka(self) -> bool:
        in_job = self._transport.credentials.of_a_job
        return bool(self.profile.kafka_bootstrap and (self.profile.key_file or in_job))

    async def _signing_key(self) -> SigningKey:
        """Return the key of the profile; in a job without one, the one that was exchanged with its token."""
        if not self.profile.key_file and self._transport.credentials.of_a_job:
            return (await self._transport.credentials.job()).signing_key()
        if self._key is None:
            self._key = signing_key(Path(self.profile.need("key_file")))
        return self._key

    async def _creator(self) -> str:
        """Return who made what this program publishes, as far as its settings state it."""
        if self.profile.creator or self.profile.key_file:
            return self.profile.creator or (await self._signing_key()).subject
        if not self._on_kafka:
            return ""  # over HTTP the registry takes the caller
        key = (await self._transport.credentials.job()).key()
        return key.started_by or key.publisher

    async def publish(
        self,
        model: str,
        artifact: str | Path | None = None,
        run: Run | None = None,
        *,
        via: Via = "",
        progress: Progress | None = None,
        follow_links: bool = False,
        kind: Kind = "model",
        training: Training | Mapping[str, Any] | None = None,
        schema: Signature | Mapping[str, Any] | None = None,
        signature: Signature | Mapping[str, Any] | None = None,
        creator: str | None = None,
        on_behalf_of: str = "",
        run_url: str = "",
        description: str | None = None,
        owner: str | None = None,
        tier: Tier | None = None,
        tags: Mapping[str, str] | None = None,
        draft: bool = False,
        version: str = "",
        exact: bool = False,
        compare_with: int | str | None = None,
        base: int | str | None = None,
        parents: Sequence[Parent | Mapping[str, Any]] = (),
        strict: bool = False,
    ) -> AsyncPublication:
        """Upload the artifact (a file or folder) and publish ModelTrained; `wait()` then gives the version.

        ModelTrained is sent to Kafka, signed, where Kafka is configured, else over HTTP; `via` ("kafka",
        "http") selects one. `run` comes from `regista.capture`; `training` and `schema` add to it or
        replace it; `signature` is the former name of `schema`. `creator` defaults to the profile's. `draft`
        registers without the mandatory metadata. `version` claims a version or a bump, `exact` refuses
        instead of raising the claim, `compare_with` is the version to compare with, `base` its former name.
        `description`, `owner`, `tier` and `tags` describe a new model; later only the tier rises. `strict`
        refuses the version when one is not taken; else its `registration_notes` name it. `follow_links`
        reads links to files as files. `progress` is as in `load`.

        Before the upload, raises Refused when metadata are missing or wrong, and Forbidden when the publisher
        lacks the role there. Raises Refused over HTTP when the registry refuses the version; other
        RegistaErrors. A message on Kafka has its outcome later: `wait()` raises
        it, and a warning at the end of the program reports what was not waited for.
        """
        key = await self._key_for(via)
        if creator is None:
            creator = await self._creator()
        data = await asyncio.to_thread(
            publication.document,
            model,
            run,
            kind=kind,
            training=training,
            schema=schema,
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
            compare_with=compare_with,
            base=base,
            parents=parents,
            strict=strict,
        )
        plan = None if artifact is None else await planned(self._transport, artifact, links=follow_links)
        whole = data if plan is None else data | {"artifact": plan.as_artifact()}
        await asyncio.to_thread(check_publication, whole, creator_known=key is None)
        if plan is not None:
            await check_role(self._transport, model, key.subject if key else "")
            with reporting(progress, "uploading") as report:
                data["artifact"] = await upload(self._transport, plan.files, report)
        return await self._send_trained(data, key)

    async def publish_document(self, data: Mapping[str, Any], *, via: Via = "") -> AsyncPublication:
        """Publish ModelTrained's data as they are; `upload` has uploaded the artifact before.

        Data that the registry could not even read raise Refused or TooLarge and are not sent.
        """
        key = await self._key_for(via)
        await asyncio.to_thread(check_message, data)
        return await self._send_trained(data, key)

    async def _key_for(self, via: str) -> SigningKey | None:
        """Return the signing key for Kafka, None for HTTP."""
        on_kafka = via == "kafka" or (via != "http" and self._on_kafka)
        return await self._signing_key() if on_kafka else None

    async def upload(
        self, artifact: str | Path, progress: Progress | None = None, follow_links: bool = False
    ) -> Artifact:
        """Upload an artifact (a file or folder), and return ModelTrained's `artifact`.

        `follow_links` and `progress` are as in `publish`. Raises Invalid, TooLarge, Damaged, Unavailable.
        """
        plan = await planned(self._transport, artifact, links=follow_links)
        with reporting(progress, "uploading") as report:
            return await upload(self._transport, plan.files, report)

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
        self,
        reference: str,
        *,
        environment: str = "production",
        progress: Progress | None = None,
        offline: bool | None = None,
    ) -> Loaded:
        """Return the verified files of `model@production`, `@latest`, `@alias`, `@3` or `@1.2.0`.

        Files that are not in the cache are downloaded; every file is verified. For a version that was just
        published the call waits until the artifact service has verified its bytes. `environment` is where the
        use is counted. While the registry does not answer, a version that was loaded before is taken from the
        cache, and a warning states when the registry last confirmed it; with `offline=False` it is not.
        `offline=True` sends no request, nor a report of use. `progress`: None shows a bar on a terminal and a
        line in a notebook, and nothing in CI; True and False decide, and a function (name of a file, bytes
        done, bytes in all) reports. A version that was made from a withdrawn one is loaded with the warning
        WithdrawnAncestor. Raises NotFound, RuleBroken (withdrawn, retired, a draft, not available), Damaged,
        TimedOut and Unavailable.
        """
        found = await self._finder.find(self, reference, offline=offline)
        with reporting(progress, "downloading") as report:
            path = found.path or await self._cache.fetch(found.manifest, report)
        warn_of_ancestors(reference, found.version)
        version, digest = found.version, found.manifest.digest
        if found.copy is None:
            await self._finder.record(reference, version, digest)
        used = Used(version["model"], version.get("model_id", ""), version["number"], environment)
        loaded = Loaded(
            used.model,
            used.model_id,
            used.number,
            version.get("semver") or "",
            digest,
            path,
            version,
            lambda count: None if offline else self._count(used, count),
            found.copy.confirmed_at if found.copy else datetime.now(UTC),
            found.copy is not None,
        )
        if not offline:
            self._usage.start()
        loaded.used()
        return loaded

    def _count(self, used: Used, count: int) -> None:
        self._usage.record(used, count)
        if self.call_soon is not None and not self._usage.reporting:
            self.call_soon(self._usage.start)

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
                publication.event(MODEL_USED, data["model"], data, await self._signing_key(), message_id),
            )
        else:
            await self._transport.call("POST", "cleanup", "/usage", body=data, idempotency_key=message_id)
