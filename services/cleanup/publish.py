"""Map the stored events of this service to public events. Field names are a contract: see schemas/public."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from services.cleanup.domain import retention_events as stored
from services.cleanup.domain.policy import Reason
from shared.deciding.events import Recorded
from shared.deciding.service import PublicEvent


@dataclass(frozen=True, slots=True)
class VersionMarked:
    """Retirement is proposed at `delete_after`, unless the version is used or protected before."""

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
    """The version stays, for these reasons. `unmarked`: it was marked before."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    reasons: tuple[Reason, ...]
    unmarked: bool


@dataclass(frozen=True, slots=True)
class RetirementProposed:
    """The grace period is over. The registry decides, and refuses to retire what it protects."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    rule: str
    reason: str


_CLASSES = (VersionMarked, VersionSpared, RetirementProposed)
PUBLIC: dict[str, type] = {f"regista.cleanup.{class_.__name__}.v1": class_ for class_ in _CLASSES}
"""Every public type and the shape of its data."""


def publish(recorded: Recorded) -> PublicEvent | None:
    """Return the public form of an event, or None."""
    data = _public(recorded.event)
    return PublicEvent(f"regista.cleanup.{type(data).__name__}.v1", data) if data else None


def _public(event: object) -> VersionMarked | VersionSpared | RetirementProposed | None:
    match event:
        case stored.VersionMarked() as e:
            return VersionMarked(
                e.model_id, e.model, e.number, e.semver, e.sweep_id, e.rule, e.reason, e.delete_after
            )
        case stored.VersionSpared() as e:
            return VersionSpared(e.model_id, e.model, e.number, e.semver, e.sweep_id, e.reasons, e.unmarked)
        case stored.RetirementProposed() as e:
            return RetirementProposed(e.model_id, e.model, e.number, e.semver, e.sweep_id, e.rule, e.reason)
        case _:
            return None
