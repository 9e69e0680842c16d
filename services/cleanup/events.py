"""Every event class that cleanup stores, by its stored name."""

from __future__ import annotations

from services.cleanup.domain.retention_state import RetentionChanged, RetirementProposed, UsageRecorded, VersionMarked, VersionSpared
from services.cleanup.domain.sweep import SweepAdvanced, SweepFinished, SweepPlanned, SweepScheduled
from shared.events import EventTypes

EVENTS = EventTypes(
    (UsageRecorded, RetentionChanged, VersionMarked, VersionSpared, RetirementProposed, SweepScheduled, SweepPlanned, SweepAdvanced, SweepFinished),
)
