"""The kinds of streams of this service, and the decider of each command."""

from __future__ import annotations

from typing import Any, get_args

from services.cleanup.domain import retention
from services.cleanup.domain.defaults import DEFAULTS, ChangeDefault
from services.cleanup.domain.sweep import SWEEP, SweepCommand
from services.cleanup.domain.waiting_reports import WAITING_REPORTS, WaitCommand
from shared.deciding.decider import Decider, Fold, Joint
from shared.deciding.noted_environments import ENVIRONMENTS, NoteEnvironment

FOLDS: tuple[Fold[Any, Any], ...] = (retention.RETENTION, DEFAULTS, ENVIRONMENTS, SWEEP, WAITING_REPORTS)

DECIDERS: dict[type, Decider[Any, Any, Any] | Joint[Any]] = {
    **retention.DECIDERS,
    ChangeDefault: DEFAULTS,
    NoteEnvironment: ENVIRONMENTS,
    **dict.fromkeys(get_args(SweepCommand), SWEEP),
    **dict.fromkeys(get_args(WaitCommand), WAITING_REPORTS),
}
