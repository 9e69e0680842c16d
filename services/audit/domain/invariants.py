"""No Production without a decision (I9), checked from stored events as somebody would who trusts no service. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

Event = dict[str, Any]


def production_faults(promoted: Event, promotion: Sequence[Event]) -> list[str]:
    """What is wrong with one VersionPromoted, given all events of its promotion; empty when it was decided as it must be."""
    asked, granted = _of(promotion, "PromotionRequested"), _of(promotion, "PromotionGranted")
    if not asked:
        return ["nobody asked for the promotion"]
    if not granted:
        return ["there is no grant"]
    grant, request, told = granted[-1]["data"], asked[-1]["data"], promoted["data"]
    faults = []
    if not grant.get("digest") or {grant.get("digest"), told.get("digest")} != {request.get("digest")}:
        faults.append("request, grant and promotion are not about the same digest")
    if any(grant.get(name) != told.get(name) for name in ("number", "environment")):
        faults.append("the grant is about another version or environment")
    if grant.get("override"):
        return faults if _of(promotion, "OverrideUsed") else [*faults, "the override was never recorded"]
    return faults + _approval_faults(grant, request, promotion)


def _approval_faults(grant: dict[str, Any], request: dict[str, Any], promotion: Sequence[Event]) -> list[str]:
    approvals = {str(e["data"].get("approver")): e["data"].get("sealed_digest") for e in _of(promotion, "ReviewApproved")}
    reviews = _of(promotion, "ReviewOpened")
    faults = []
    if reviews:
        opened = reviews[-1]["data"]
        current = {who for who, sealed in approvals.items() if sealed == opened.get("sealed_digest")}
        if len(current) < opened.get("needs", 1):
            faults.append(f"{len(current)} approvals of what was shown, {opened.get('needs', 1)} needed")
        if not set(grant.get("approvers") or ()) <= current:
            faults.append("the grant names approvers who did not approve what was shown")
    elif not any(e["data"].get("passed") for e in _of(promotion, "GatesEvaluated")):
        faults.append("there is neither a review nor a passing gate")
    makers = {request.get("requester"), request.get("creator"), request.get("on_behalf_of")}
    if own := [who for who in approvals if who in makers]:
        faults.append(f"approved by who made it or asked for it: {', '.join(own)}")
    return faults


def champion_of(serving: Event) -> int | None:
    """Which version a RolloutChanged or RolledBack makes the champion."""
    data: dict[str, Any] = serving["data"]
    number: int | None = next((e.get("number") for e in data.get("entries") or () if e.get("role") == "champion"), data.get("to_number"))
    return number


def serving_faults(serving: Event, promoted_at: Mapping[tuple[str, str, int], int]) -> list[str]:
    """A champion, also one rolled back to, was promoted in that environment before. `promoted_at`: (stream, environment, number) → first revision."""
    number, environment = champion_of(serving), serving["data"].get("environment")
    if number is None:
        return []
    before = promoted_at.get((serving["stream"], str(environment), number))
    if before is not None and before < serving["revision"]:
        return []
    return [f"version {number} became champion of {environment} and was never promoted there"]


def _of(events: Iterable[Event], type_: str) -> list[Event]:
    return [event for event in events if event["type"] == type_]
