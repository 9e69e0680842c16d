"""The stored events of this service, and how older forms become today's.

Stored events are never rewritten.
"""

from __future__ import annotations

from services.cleanup.domain.early import ReportGivenUp, ReportHeld, ReportPlaced
from services.cleanup.domain.retention_state import (
    RetentionChanged,
    RetirementProposed,
    UsageRecorded,
    VersionMarked,
    VersionSpared,
)
from services.cleanup.domain.sweep import SweepAdvanced, SweepFinished, SweepPlanned, SweepScheduled
from shared.deciding.events import EventTypes, Upcaster

UPCASTERS: dict[tuple[str, int], Upcaster] = {}
"""(type, schema n) → the data of schema n + 1."""

EVENTS = EventTypes(
    (
        UsageRecorded,
        RetentionChanged,
        VersionMarked,
        VersionSpared,
        RetirementProposed,
        SweepScheduled,
        SweepPlanned,
        SweepAdvanced,
        SweepFinished,
        ReportHeld,
        ReportPlaced,
        ReportGivenUp,
    ),
    UPCASTERS,
)
