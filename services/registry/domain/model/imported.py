"""Where an importer found a version, and what another registry states about it: claims that no rule reads."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.deciding.events import encode


@dataclass(frozen=True, slots=True)
class ImportedFrom:
    """A version in another registry, as the importer read it there.

    `system`, `uri`, `id` (the model) and `number` name the version there. All other fields are what that
    registry states: its times, people, stages, aliases, texts and tags count nowhere in this one. `details`
    is whatever else the importer kept.
    """

    system: str
    uri: str
    id: str
    number: str
    created_at: datetime | None = None
    created_by: str | None = None
    stage: str | None = None
    aliases: tuple[str, ...] = ()
    description: str | None = None
    tags: dict[str, Any] | None = None
    details: dict[str, Any] | None = None

    @property
    def key(self) -> str:
        """What makes two imports the same version there."""
        return import_key(self.system, self.uri, self.id, self.number)


def import_key(system: str, uri: str, id_: str, number: str) -> str:
    """Return the digest of a version's name in another registry."""
    return "sha256:" + hashlib.sha256(encode(["imported", system, uri, id_, number])).hexdigest()
