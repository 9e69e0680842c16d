"""Compare the stored objects with the log: artifacts that only one of them has. It only reads."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg

from services.artifact.domain.object_keys import VERIFIED, generation_of
from services.artifact.settings import ArtifactSettings

NAMED = 20
"""Digests that are named of each kind."""
# Every artifact that the log names. It reads the primary key, not the events.
KNOWN = """
SELECT DISTINCT substr(e.stream, 10) FROM log.events_artifact e
WHERE e.service = 'artifact' AND e.stream LIKE 'artifact-%'
"""
# The read model has the generation that is verified; before the first start there is none.
VERIFIED_NOW = "SELECT a.hex, a.verified FROM artifact.artifacts a WHERE a.verified > 0"
Progress = Callable[[str], None]


@dataclass(slots=True)
class Findings:
    """Artifacts in the store that the log does not name, and verified ones whose objects are missing."""

    stored: int = 0
    unknown_to_log: int = 0
    without_objects: int = 0
    named: dict[str, list[str]] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether the store and the log differ."""
        return bool(self.unknown_to_log or self.without_objects)


async def examine(settings: ArtifactSettings, progress: Progress) -> Findings:
    """List the verified objects and compare their digests and generations with the log."""
    stored: dict[str, set[int]] = {}
    for key in await settings.store().keys(VERIFIED):
        stored.setdefault(key.split("/")[1], set()).add(generation_of(key))
    progress(f"object store: {len(stored)} artifacts")
    connection = await asyncpg.connect(settings.database_url, command_timeout=600)
    try:
        known = {row[0] for row in await connection.fetch(KNOWN)}
        progress(f"log: {len(known)} artifacts")
        try:
            verified = dict(map(tuple, await connection.fetch(VERIFIED_NOW)))
        except asyncpg.UndefinedTableError:
            verified = {}
    finally:
        await connection.close()
    unknown = sorted(stored.keys() - known)
    gone = sorted(hex_ for hex_, generation in verified.items() if generation not in stored.get(hex_, ()))
    progress(f"artifacts: {len(unknown)} are not in the log, {len(gone)} have lost their objects")
    named = {"unknown_to_log": unknown[:NAMED], "without_objects": gone[:NAMED]}
    return Findings(len(stored), len(unknown), len(gone), named)
