"""What reached Production without people, and the overrides whose after-review is missing. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

Event = dict[str, Any]
_SHOWN = ("promotion_id", "model", "number", "environment")


def without_people(
    granted: Sequence[Event], policies: Mapping[tuple[str, str], Event]
) -> list[dict[str, Any]]:
    """Return the grants that no person approved, with the reason on record, newest first."""
    found = []
    for event in sorted(granted, key=lambda e: str(e["recorded_at"]), reverse=True):
        data = event["data"]
        if data.get("approvers") and not data.get("override"):
            continue
        named = data.get("policy") or {}
        policy = policies.get((str(named.get("name")), str(named.get("digest"))))
        document = (policy["data"].get("policy") or {}) if policy else {}
        why = (
            "overridden"
            if data.get("override")
            else f"policy {named.get('name')}: {document.get('unreviewed_reason') or 'no reason is given'}"
        )
        found.append(_named(data) | {"why": why, "at": event["recorded_at"]})
    return found


def after_reviews(used: Sequence[Event], reviewed: Sequence[Event]) -> list[dict[str, Any]]:
    """Return the overrides without an after-review, the one that is due first before the others."""
    done = {(e["data"].get("about") or {}).get("promotion_id") for e in reviewed}
    owed = [
        _named(data["about"] | {"environment": data.get("environment")})
        | {"by": data.get("by"), "reason": data.get("reason"), "due_at": data.get("due_at")}
        for event in used
        if (data := event["data"]).get("about") and data["about"].get("promotion_id") not in done
    ]
    return sorted(owed, key=lambda one: str(one["due_at"]))


def _named(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: data.get(name) for name in _SHOWN}
