"""The stored events of approval by their names, and how older forms become today's."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, get_args

from services.approval.domain.gate_events import GateEvent
from services.approval.domain.policy import PolicyEvent, PolicyListed
from services.approval.domain.review_events import ReviewEvent
from shared.deciding.events import EventTypes, Noted

ApprovalEvent = PolicyEvent | PolicyListed | GateEvent | ReviewEvent | Noted


def _with(**fields: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    """Return an upcaster that adds fields which the older form did not have."""
    return lambda data: data | fields


def _policy(data: dict[str, Any]) -> dict[str, Any]:
    """Return a policy of the first schema, which selected no environments and had no cap."""
    policy = {"challenger_cap": None, "two_to_recall": False, **data["policy"]}
    return data | {"policy": policy | {"applies_to": {**policy["applies_to"], "environments": []}}}


UPCASTERS = {
    ("GatesEvaluated", 1): _with(challenger_cap=None, two_to_recall=False),
    ("GatesEvaluated", 2): _with(),  # a result had no `tick`, which is false by default
    ("OverrideReviewed", 1): _with(environment="", consequence=""),
    ("OverrideUsed", 1): _with(serve=False, production=True),
    ("OverrideUsed", 2): _with(due_at=None, unjustified="stop", overdue="remind", by_maker=False),
    ("OverrideUsed", 3): _with(adopts=None),
    ("PolicyPublished", 1): _policy,
    ("PolicyPublished", 2): _with(weaker=[], proposed_by=""),
    ("PromotionGranted", 1): _with(conditions=[]),
    ("PromotionGranted", 2): _with(rules=1),
    ("ReviewApproved", 1): _with(accepted=[], machine_because=""),
    ("ReviewApproved", 2): _with(authentication=None),
    ("ReviewLapsed", 1): _with(requester=""),
    ("ReviewOpened", 1): _with(serve=False, production=True),
    ("ReviewOpened", 2): _with(machines={}, dependent_because="", requester=""),
    ("ReviewOpened", 3): _with(sign_in=None),
    ("ReviewRefreshed", 1): _with(policy=None, why=""),
}

EVENTS = EventTypes(tuple(event for event in get_args(ApprovalEvent) if event is not Noted), UPCASTERS)
