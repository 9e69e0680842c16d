"""The stored events of approval by their names, and how older forms become today's."""

from __future__ import annotations

from typing import Any, get_args

from services.approval.domain.gate import GateEvent
from services.approval.domain.policy import PolicyEvent, PolicyListed
from services.approval.domain.review import ReviewEvent
from shared.deciding.events import EventTypes, Noted

ApprovalEvent = PolicyEvent | PolicyListed | GateEvent | ReviewEvent | Noted


def _as_it_is(data: dict[str, Any]) -> dict[str, Any]:
    """Return the data: the defaults of the new fields of its evidence mean what the older form meant."""
    return data


UPCASTERS = {
    ("GatesEvaluated", 1): _as_it_is,
    ("ReviewOpened", 1): _as_it_is,
    ("ReviewRefreshed", 1): _as_it_is,
}

EVENTS = EventTypes(tuple(event for event in get_args(ApprovalEvent) if event is not Noted), UPCASTERS)
