"""Find the version that a reference names: ask the registry, or take what it last confirmed."""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Protocol

from regista.calls.requests import Json, model_and_version
from regista.client.patience import Patience, patience
from regista.errors import Damaged, Failed, NotFound, RegistaError, RuleBroken, TimedOut, Unavailable
from regista.files import manifest
from regista.loading.cache import Cache
from regista.loading.confirmed import Confirmed, Copy
from regista.shapes.registry import Resolved, VersionAnswer
from regista.wire.digests import FileEntry, Manifest

log = logging.getLogger("regista")

WITH_A_COPY = Patience(attempts=2, total=5.0)
"""How long the registry is asked for a version that is in the cache."""
GONE = frozenset({404, 409, 410})
"""Statuses of answers after which a reference names no version that could be loaded."""


class Calls(Protocol):
    """The requests that finding needs."""

    async def resolve(self, model: str, alias: str) -> Resolved: ...

    async def version(self, reference: str) -> VersionAnswer: ...


@dataclass(frozen=True, slots=True)
class Found:
    """A version and its manifest; `copy` and `path` when it is one that the registry confirmed before."""

    version: Json
    manifest: Manifest
    copy: Copy | None = None
    path: Path | None = None


class Finder:
    """Finds versions for loading; none that must not be loaded."""

    def __init__(self, cache: Cache, confirmed: Confirmed, waits: Patience) -> None:
        self._cache, self._confirmed, self._waits = cache, confirmed, waits

    async def find(self, calls: Calls, reference: str, *, offline: bool | None = None) -> Found:
        """Return the version that the reference names.

        With `offline` no request is sent. With None the registry is asked first, for a few seconds when there
        is a copy to fall back on. Raises RegistaError.
        """
        model_and_version(reference)
        if offline:
            return await self._copy(reference, None)
        if offline is False or await asyncio.to_thread(self._confirmed.find, reference) is None:
            return await self._asked(calls, reference)
        try:
            with patience(WITH_A_COPY):
                return await self._asked(calls, reference)
        except Unavailable as unavailable:
            return await self._copy(reference, unavailable)

    async def record(self, reference: str, version: Json, digest: str) -> None:
        """Store that the registry confirmed this version under this reference, its number and semver."""
        model, _ = model_and_version(reference)
        exact = [str(name) for name in (version["number"], version.get("semver")) if name]
        names = [reference, *(f"{m}@{name}" for m in {model, str(version["model"])} for name in exact)]
        await asyncio.to_thread(self._confirmed.record, dict.fromkeys(names), version, digest)

    async def _copy(self, reference: str, unavailable: Unavailable | None) -> Found:
        """Return what the registry confirmed before, verified; else raise `unavailable`, or NotFound."""
        copy = await asyncio.to_thread(self._confirmed.find, reference)
        missing = "was not loaded on this machine before" if copy is None else ""
        files = None
        if copy is not None:
            check_loadable(reference, copy.version)
            try:
                files = await self._cache.complete(copy.digest)
            except Damaged as damaged:
                missing = f"is damaged in the cache: {damaged.detail}"
        if copy is None or files is None:
            if unavailable is not None:
                raise unavailable
            detail = f"{reference} {missing or 'has no files in the cache'}"
            advice = "Load it once while the registry is reachable (without `offline`)."
            raise NotFound("not_cached", detail, advice=advice)
        log.warning(
            "%s is number %s from the cache: %s. The registry last confirmed it at %s, %s ago; "
            "it may have been withdrawn since.",
            reference,
            copy.version.get("number"),
            unavailable.detail if unavailable else "no request was sent",
            copy.confirmed_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
            copy.age(datetime.now(UTC)),
        )
        return Found(copy.version, files[0], copy, files[1])

    async def _asked(self, calls: Calls, reference: str) -> Found:
        try:
            return await self._of_registry(calls, reference)
        except RegistaError as error:
            if error.status in GONE:
                await asyncio.to_thread(self._confirmed.drop, reference)
            raise

    async def _of_registry(self, calls: Calls, reference: str) -> Found:
        """Return the registry's answer: one small request for an alias whose artifact is cached."""
        model, wanted = model_and_version(reference)
        if wanted.startswith("@"):
            found: Json = {**await calls.resolve(model, wanted[1:])}
            await self._check(reference, found)
            digest = str(found.get("artifact_digest"))
            cached = await asyncio.to_thread(self._cache.manifest, digest)
            if cached is not None and found.get("artifact_state") == "available":
                return Found(found, cached)
            wanted = str(found["number"])
        version = await self._verified(calls, reference, f"{model}@{wanted}")
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
        return Found(version, expected)

    async def _verified(self, calls: Calls, reference: str, exact: str) -> Json:
        """Return the version once the artifact service has verified its bytes.

        Raises RuleBroken for a version that must not be loaded, TimedOut, and Unavailable when the registry
        does not answer.
        """
        until = time.monotonic() + self._waits.total
        for attempt in itertools.count():
            version: Json = {**await calls.version(exact)}
            await self._check(reference, version)
            if version.get("artifact_state") or not version.get("artifact"):
                return version
            pause = self._waits.pause(attempt, None)
            if time.monotonic() + pause >= until:
                break
            await asyncio.sleep(pause)
        detail = f"the artifact of {reference} is not verified after {self._waits.total:g} s"
        advice = "Load it again later: the artifact service is still verifying it."
        raise TimedOut("artifact_not_verified_yet", detail, advice=advice)

    async def _check(self, reference: str, version: Json) -> None:
        """Raise RuleBroken for a version that must not be loaded, and store that in the cache."""
        try:
            check_loadable(reference, version)
        except RuleBroken:
            await asyncio.to_thread(self._confirmed.refuse, version)
            raise


def check_loadable(reference: str, version: Mapping[str, Any]) -> None:
    """Raise RuleBroken for a version that must not be loaded, even if its files are in the cache."""
    model = version.get("model") or reference.rpartition("@")[0]
    advice = f"Load another version: `regista versions list {model}` shows them."
    if version.get("withdrawn"):
        raise RuleBroken(
            "version_withdrawn",
            f"{reference} was withdrawn: {version['withdrawn']}",
            advice=f"{advice} Where it serves, roll back (`regista rollback {model}`) or stop "
            f"(`regista rollout stop {model}`).",
        )
    if version.get("stage") == "Draft" and version.get("artifact"):
        detail = f"{reference} is a draft: its artifact is verified when its metadata is complete"
        raise RuleBroken(
            "version_draft",
            detail,
            advice=f"Complete it (`regista versions complete {reference}`), or load another version.",
        )
    if version.get("retired"):
        raise RuleBroken(
            "version_retired",
            f"{reference} was retired",
            advice=advice,
            facts={"retired": version["retired"]},
        )
    if (state := version.get("artifact_state")) not in {None, "", "available"}:
        raise RuleBroken(
            "artifact_not_available", f"the artifact of {reference} is {state}, not available", advice=advice
        )
