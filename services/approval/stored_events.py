"""The stored events of approval. No event has an older form yet."""

from __future__ import annotations

from typing import get_args

from services.approval.domain.gate_events import GateEvent
from services.approval.domain.policy import PolicyEvent, PolicyListed
from services.approval.domain.review_events import ReviewEvent
from shared.deciding.events import EventTypes, Noted

ApprovalEvent = PolicyEvent | PolicyListed | GateEvent | ReviewEvent | Noted

EVENTS = EventTypes(tuple(event for event in get_args(ApprovalEvent) if event is not Noted))
