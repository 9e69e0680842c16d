"""Classify events for reports: which decision an event is, and whose acts it is. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from services.audit.domain.as_of import Event, reference
from services.audit.domain.reading import KEY_BYTES, Entry, key_of

PROMOTION, DENIAL, OVERRIDE = "promotion", "denial", "override"

_KINDS = {
    ("registry", "VersionPromoted"): PROMOTION,
    ("registry", "PromotionRefused"): DENIAL,
    ("approval", "PromotionDenied"): DENIAL,
    ("approval", "OverrideUsed"): OVERRIDE,
}
_SERVICE = "service:"
_NO_ONE = frozenset({"", "unreadable"})


def kind_of(entry: Entry) -> str:
    """Return which kind of decision the event is, or "" for none."""
    return _KINDS.get((entry.stored.service, entry.stored.type), "")


def model_of(entry: Entry) -> str:
    """Return the id of the model that the decision is about, or ""."""
    return next(iter(entry.models), "")


def subjects_of(entry: Entry) -> frozenset[str]:
    """Return the identities whose act the event is: its actor, and the one the actor acted for."""
    named = {entry.actor.subject, entry.actor.on_behalf_of or ""}
    return frozenset(
        key_of(subject, KEY_BYTES)
        for subject in named
        if subject not in _NO_ONE and not subject.startswith(_SERVICE)
    )


def carries_out_a_denial(event: Event, before: Iterable[Event]) -> bool:
    """Return whether registry only ends a promotion that approval denied: reports list the denial.

    `event` and the events `before` it, of the same promotion, are dicts as the API shows them.
    """
    return event["type"] == "PromotionRefused" and any(
        (one["service"], one["type"]) == ("approval", "PromotionDenied") for one in before
    )


def after_review(of_promotion: Iterable[Event]) -> dict[str, Any] | None:
    """Return the after-review of an override from the events of its promotion; None where it is missing."""
    made = next((one for one in of_promotion if one["type"] == "OverrideReviewed"), None)
    return made and {
        "by": made["actor"],
        "at": made["recorded_at"],
        "justified": made["data"].get("justified"),
        "comment": made["data"].get("comment"),
        "event": reference(made),
    }
