"""What others may know of cleanup's events. Field names are a contract: see schemas/public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.cleanup.domain import retention_state as stored
from services.cleanup.domain.policy import Reason
from shared.deciding.events import Recorded
from shared.deciding.service import PublicEvent


@dataclass(frozen=True, slots=True)
class VersionMarked:
    """The version will be proposed for retirement after `delete_after`, unless it is used or protected before."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    rule: str
    reason: str
    delete_after: datetime


@dataclass(frozen=True, slots=True)
class VersionSpared:
    """The version stays, for these reasons. `unmarked` when it had been marked before."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    reasons: tuple[Reason, ...]
    unmarked: bool


@dataclass(frozen=True, slots=True)
class RetirementProposed:
    """The grace period passed. registry decides, and refuses what it protects."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    rule: str
    reason: str


PUBLIC = {
    f"regista.cleanup.{class_.__name__}.v1": class_
    for class_ in (VersionMarked, VersionSpared, RetirementProposed)
}
"""Every public type and the shape of its data."""


def publish(recorded: Recorded) -> PublicEvent | None:
    """The public form of an event, or nothing."""
    match recorded.event:
        case stored.VersionMarked() as e:
            marked = VersionMarked(
                e.model_id, e.model, e.number, e.semver, e.sweep_id, e.rule, e.reason, e.delete_after
            )
            return PublicEvent("regista.cleanup.VersionMarked.v1", marked)
        case stored.VersionSpared() as e:
            spared = VersionSpared(e.model_id, e.model, e.number, e.semver, e.sweep_id, e.reasons, e.unmarked)
            return PublicEvent("regista.cleanup.VersionSpared.v1", spared)
        case stored.RetirementProposed() as e:
            proposed = RetirementProposed(
                e.model_id, e.model, e.number, e.semver, e.sweep_id, e.rule, e.reason
            )
            return PublicEvent("regista.cleanup.RetirementProposed.v1", proposed)
        case _:
            return None
