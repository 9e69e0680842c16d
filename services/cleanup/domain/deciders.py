"""The kinds of streams of this service, and the decider of each command."""

from __future__ import annotations

from typing import Any, get_args

from services.cleanup.domain.retention import RETENTION
from services.cleanup.domain.retention_commands import RetentionCommand
from services.cleanup.domain.sweep import SWEEP, SweepCommand
from services.cleanup.domain.waiting_reports import WAITING_REPORTS, WaitCommand
from shared.deciding.decider import Decider, Fold

FOLDS: tuple[Fold[Any, Any], ...] = (RETENTION, SWEEP, WAITING_REPORTS)

DECIDERS: dict[type, Decider[Any, Any, Any]] = {
    **dict.fromkeys(get_args(RetentionCommand), RETENTION),
    **dict.fromkeys(get_args(SweepCommand), SWEEP),
    **dict.fromkeys(get_args(WaitCommand), WAITING_REPORTS),
}
