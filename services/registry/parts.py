"""What the registry's process keeps in memory besides what every service has."""

from __future__ import annotations

from dataclasses import dataclass

from services.registry.look_ups import Intake
from shared.http.batcher import Batcher


@dataclass(frozen=True, slots=True)
class Parts:
    """`intake` turns names into ids; `resolver` answers concurrent look-ups of aliases by one query."""

    intake: Intake
    resolver: Batcher[tuple[str, str], tuple[str, bytes, int]]
