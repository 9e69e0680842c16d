"""The kinds of streams of this service, and the decider of each command."""

from __future__ import annotations

from typing import Any, get_args

from services.mirror.domain.target import TARGET
from services.mirror.domain.target_commands import TargetCommand
from shared.deciding.decider import Decider, Fold, Joint

FOLDS: tuple[Fold[Any, Any], ...] = (TARGET,)

DECIDERS: dict[type, Decider[Any, Any, Any] | Joint[Any]] = dict.fromkeys(get_args(TargetCommand), TARGET)
