"""Bring one version of one target in step: read both sides, and write where they differ."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

import asyncpg

from services.mirror import queries
from services.mirror.domain.target_commands import DeferVersion, RecordFailure, RecordMirrored, TargetCommand
from services.mirror.queries import DueCopy, Followed
from services.mirror.registry_reader import RegistryReader, VersionFiles
from services.mirror.targets.base import Difference, Refused, Target, Unavailable, Wanted, differences
from services.mirror.wanted import AVAILABLE, is_ended, is_reached, wanted_of
from shared.foundation.postgres_errors import raise_if_cancelled

log = logging.getLogger(__name__)
Result = Callable[[DueCopy], TargetCommand]


@dataclass(frozen=True, slots=True)
class Seen:
    """A version on both sides: what the target has to show, whether its bytes are ready, and what differs."""

    wanted: Wanted
    bytes_ready: bool
    differences: tuple[Difference, ...]
    address: str = ""

    @property
    def is_there(self) -> bool:
        """Whether the target has the version."""
        return bool(self.address)


class Copying:
    """The work on one target."""

    def __init__(
        self, pool: asyncpg.Pool, reader: RegistryReader, followed: Followed, target: Target
    ) -> None:
        self._pool, self._reader, self._followed, self._target = pool, reader, followed, target

    async def bring_in_step(self, copy: DueCopy) -> TargetCommand:
        """Return the command that records what became of an attempt. Failures are recorded, never raised."""
        try:
            return await self._attempt(copy)
        except Refused as e:
            return self._failed(copy, "refused", str(e), retry=False)
        except Unavailable as e:
            return self._failed(copy, "unavailable", str(e), retry=True, retry_after=e.retry_after)
        except Exception as e:
            raise_if_cancelled()
            log.exception("a mirror failed", extra={"target": self._followed.target, "number": copy.number})
            detail = f"The mirror failed unexpectedly ({type(e).__name__}): its log has the details."
            return self._failed(copy, "unexpected", detail, retry=True)

    async def see(self, copy: DueCopy) -> Seen | None:
        """Return a version on both sides, None when the registry has none. Raises Refused and Unavailable."""
        version = await self._reader.version(copy.model_id, copy.number)
        if version is None:
            return None
        model = await self._reader.model(copy.model_id)
        reviews = await self._reader.reviews(version)
        wanted = wanted_of(version, model, reviews, await self._reader.files(version))
        if copy.name:
            wanted = replace(wanted, name_there=copy.name)
        found = await self._target.read(wanted)
        ready = not wanted.artifact_digest or version["artifact_state"] == AVAILABLE
        differ = tuple(differences(self._target.shown(wanted), found))
        return Seen(wanted, ready, differ, found.address if found else "")

    async def _attempt(self, copy: DueCopy) -> TargetCommand:
        seen = await self.see(copy)
        if seen is None:
            return self._deferred(copy, "absent", "the registry has no such version")
        if not seen.is_there and (why := self._why_not(seen)):
            return why(copy)
        wanted, address = seen.wanted, seen.address
        name = copy.name or self._target.name_of(wanted.model)
        if not seen.is_there:
            await self._claim(name, wanted)
        if seen.differences:
            files = VersionFiles(self._reader, wanted.artifact_digest, wanted.files)
            address = (await self._target.write(wanted, files)).address
        return RecordMirrored(
            self._followed.target,
            copy.model_id,
            copy.number,
            copy.request,
            wanted.semver,
            wanted.stage,
            wanted.model,
            name,
            address,
            wanted.aliases,
            wanted.position,
            tuple(d.field for d in seen.differences),
        )

    def _why_not(self, seen: Seen) -> Result | None:
        """Return what is recorded of a version that the target need not get now."""
        if is_ended(seen.wanted):
            return lambda copy: self._deferred(copy, "absent", "it ended before it was mirrored")
        if not is_reached(seen.wanted, self._followed.from_stage):
            stage = self._followed.from_stage
            return lambda copy: self._deferred(copy, "absent", f"its stage is before {stage}")
        if not seen.bytes_ready:
            return lambda copy: self._deferred(copy, "waiting", "its bytes are not verified yet")
        return None

    async def _claim(self, name: str, wanted: Wanted) -> None:
        other = await queries.taken_by(self._pool, self._followed.target, name, wanted.model_id)
        if other:
            raise Refused(
                f"{wanted.model} and {other} are both {name!r} at the target: rename one of them, or mirror"
                " them to targets with different prefixes, then run `regista mirror check --repair`."
            )

    def _deferred(self, copy: DueCopy, status: Literal["waiting", "absent"], reason: str) -> DeferVersion:
        return DeferVersion(
            self._followed.target,
            copy.model_id,
            copy.number,
            copy.request,
            status,
            reason,
        )

    def _failed(
        self, copy: DueCopy, code: str, detail: str, *, retry: bool, retry_after: float | None = None
    ) -> RecordFailure:
        return RecordFailure(
            self._followed.target, copy.model_id, copy.number, copy.request, code, detail, retry, retry_after
        )
