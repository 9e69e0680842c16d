"""The client: publish, load, and all other calls.

Asynchronous; `regista.client.sync_client` is its blocking face.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import uuid
from collections.abc import Callable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from regista.catalogue import Catalogue, split
from regista.client.profile import Profile, read_profile
from regista.client.transport import Patience, Transport
from regista.errors import Failed, RegistaError, RuleBroken, TimedOut
from regista.files import Progress, manifest, signing_key
from regista.governance import Governance
from regista.loading.cache import Cache
from regista.loading.loaded import Loaded
from regista.loading.usage import CLOSE_SECONDS, MODEL_USED, Usage, Used
from regista.loading.usage import TOPIC as USAGE_TOPIC
from regista.operating import Operating
from regista.publishing import publication
from regista.publishing.kafka import KafkaSender
from regista.publishing.publication import Registered, Told
from regista.publishing.tracking import Run
from regista.wire.digests import FileEntry, Manifest
from regista.wire.keys import SigningKey

_of_the_parent: list[
    object
] = []  # kept: what is let go would be closed, and its other half lives in the parent


class AsyncPublication:
    """What was published and is on its way. `wait` may be called again after TimedOut."""

    def __init__(self, transport: Transport, told: Told) -> None:
        self._transport = transport
        self.id = told.id
        self.model = told.model
        self.digest = told.digest
        self._told = told

    async def wait(self, seconds: float = 60.0) -> Registered:
        """The registered version. Raises Refused with every problem, and TimedOut."""
        return await publication.outcome(self._transport, self._told, seconds)


class AsyncClient(Catalogue, Governance, Operating):
    """All of Regista over one connection pool.

    `async with AsyncClient() as client: …` closes it and reports usage.
    """

    soon: Callable[[Callable[[], object]], None] | None = None  # how code on other threads reaches the loop

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

    def begin_anew(self) -> None:
        """In a forked child: connections and counts are the parent's."""
        _of_the_parent.append((self._transport, self._kafka, self._usage))
        self._connect()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Reports usage and closes the connections, in about 10 seconds at most."""
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
        **facts: Any,
    ) -> AsyncPublication:
        """Uploads the artifact, then publishes ModelTrained: signed on Kafka where it is configured, else over HTTP (`via` forces one).

        `facts` are those of `regista.publishing.publication.document`: kind, tags, tier, draft, version,
        base, parents, training, signature, … Raises RegistaError; what the registry makes of it comes from
        the handle's `wait()`.
        """
        on_kafka = via == "kafka" or (via != "http" and self._on_kafka)
        key = self._signing_key() if on_kafka else None
        facts.setdefault(
            "creator", self.profile.creator or (self._signing_key().subject if self.profile.key_file else "")
        )
        data = publication.document(model, run, **facts)
        if artifact is not None:
            data["artifact"] = await publication.upload(self._transport, Path(artifact), progress)
        return await self._tell(data, key)

    async def publish_document(self, data: Mapping[str, Any], *, via: str = "") -> AsyncPublication:
        """Publishes ModelTrained's data as it is, its artifact uploaded before (`upload`)."""
        on_kafka = via == "kafka" or (via != "http" and self._on_kafka)
        return await self._tell(data, self._signing_key() if on_kafka else None)

    async def upload(self, artifact: str | Path, progress: Progress | None = None) -> dict[str, Any]:
        """Uploads an artifact; the answer is ModelTrained's `artifact`."""
        return await publication.upload(self._transport, Path(artifact), progress)

    async def _tell(self, data: Mapping[str, Any], key: SigningKey | None) -> AsyncPublication:
        model, digest = str(data["model"]), str(data.get("artifact", {}).get("digest", ""))
        if key is None:
            known = await publication.register(self._transport, data)
            return AsyncPublication(self._transport, Told("", model, digest, known))
        event = publication.event(publication.MODEL_TRAINED, model, data, key)
        await self._kafka.send(publication.TOPIC, event)
        return AsyncPublication(self._transport, Told(event.id, model, digest))

    async def load(
        self, reference: str, *, environment: str = "production", progress: Progress | None = None
    ) -> Loaded:
        """Resolves `model@production`, `model@alias`, `model@3` or `model@1.2.0`, downloads what is not in the cache, and verifies every file.

        What was published a moment ago is waited for until its bytes are verified. Raises NotFound, Damaged
        (bytes that are not those registered are never returned), TimedOut and Unavailable.
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
        if self.soon is not None and not self._usage.reporting:
            self.soon(self._usage.start)

    async def _find(self, reference: str) -> tuple[dict[str, Any], Manifest]:
        """The version and its files. An alias whose artifact is in the cache costs one small request."""
        model, wanted = split(reference)
        if wanted.startswith("@"):
            found = await self.resolve(model, wanted[1:])
            _check_loadable(reference, found)
            kept = self._cache.manifest(str(found.get("artifact_digest")))
            if kept is not None and found.get("artifact_state") == "released":
                return found, kept
            wanted = str(found["number"])
        version = await self._judged(reference, f"{model}@{wanted}")
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

    async def _judged(self, reference: str, found: str) -> dict[str, Any]:
        """The version, once anything is known of its bytes.

        Raises RuleBroken for what nobody shall use, and TimedOut.
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
            detail = f"the bytes of {reference} are not verified after {self._patience.total:g} s"
            advice = "Load it again later: the artifact service verifies what was published."
            raise TimedOut("artifact_not_verified_yet", detail, advice=advice) from None
        return version

    async def end(self) -> None:
        """As `close`, while the interpreter ends: what was counted goes out as always, and what cannot is lost in silence. Raises TimeoutError."""
        try:
            async with asyncio.timeout(CLOSE_SECONDS):
                for report in self._usage.rest():
                    with contextlib.suppress(RegistaError):
                        await self._report(report.data, report.message_id)
        finally:
            await self.close()

    async def report_usage(self) -> None:
        """Reports now what was counted, instead of at the end of the window."""
        await self._usage.flush()

    async def _report(self, data: dict[str, Any], message_id: str) -> None:
        if self._on_kafka:
            await self._kafka.send(
                USAGE_TOPIC,
                publication.event(MODEL_USED, data["model"], data, self._signing_key(), message_id),
            )
        else:
            await self._transport.call("POST", "cleanup", "/usage", body=data, idempotency_key=message_id)


def _check_loadable(reference: str, version: Mapping[str, Any]) -> None:
    """Raises RuleBroken for a version that nobody shall use, though its files may be on this disk."""
    advice = "Load another version: `regista versions list MODEL` shows them."
    if version.get("recalled"):
        raise RuleBroken(
            "version_recalled", f"{reference} was recalled: {version['recalled']}", advice=advice
        )
    if version.get("stage") == "Draft" and version.get("artifact"):
        detail = f"{reference} is a draft: its artifact is verified once nothing is missing"
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
