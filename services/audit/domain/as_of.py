"""Compute what was in production at a moment, who approved it, and on what evidence. Pure.

An event is a dict as the API shows it: `type`, `data`, `recorded_at`, `actor`, `reason`, `event_id`,
`leaf_index`, `number`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

Event = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Evidence:
    """The events behind one version in production. Any of them may be missing; the answer then has null."""

    registered: Event | None = None
    promoted: Event | None = None
    promotion: Sequence[Event] = field(default_factory=tuple)

    @property
    def events(self) -> Iterator[Event]:
        """All of them."""
        return (event for event in (self.registered, self.promoted, *self.promotion) if event is not None)


def reference(event: Event) -> dict[str, Any]:
    """Return what finds the event again and proves it."""
    names = ("event_id", "service", "stream", "revision", "type", "recorded_at", "leaf_index", "fault")
    return {name: event[name] for name in names}


HIDDEN = {
    "occurred_at": None,
    "actor": {"subject": "hidden", "method": "hidden", "on_behalf_of": None},
    "reason": "",
    "correlation_id": "",
    "trace": "",
    "number": None,
    "environment": None,
    "promotion_id": None,
    "data": None,
}


def as_shown(event: Event, *, hidden: bool) -> Event:
    """Return the event; when `hidden`, without its content: only its place and its cause."""
    return event | (HIDDEN if hidden else {}) | {"hidden": hidden}


def answer(serving: Event, evidence: Mapping[int, Evidence]) -> dict[str, Any]:
    """Return what served after the event `serving`. `evidence`: by version number."""
    entries = serving["data"].get("entries") or []
    return {
        "since": serving["recorded_at"],
        "changed_by": {"actor": serving["actor"], "reason": serving["reason"], "event": reference(serving)},
        "entries": [_entry(entry, evidence.get(entry["number"], Evidence())) for entry in entries],
    }


def _entry(entry: Mapping[str, Any], evidence: Evidence) -> dict[str, Any]:
    shown = {name: entry.get(name) for name in ("number", "semver", "percent", "role")}
    return shown | {"version": _version(evidence.registered), "promotion": promotion(evidence)}


def _version(registered: Event | None) -> dict[str, Any] | None:
    if registered is None:
        return None
    return {
        "registered_at": registered["recorded_at"],
        "registered_by": registered["actor"],
        "metadata": registered["data"].get("metadata"),
        "event": reference(registered),
    }


def promotion(evidence: Evidence) -> dict[str, Any] | None:
    """Return how a version reached Production; None when its role (shadow, challenger) needs no promotion."""
    promoted = evidence.promoted
    if promoted is None:
        return None
    requested, granted = (
        _last(evidence.promotion, "PromotionRequested"),
        _last(evidence.promotion, "PromotionGranted"),
    )
    gates, override = _last(evidence.promotion, "GatesEvaluated"), _last(evidence.promotion, "OverrideUsed")
    promotion_id = promoted["data"].get("promotion_id")
    return {
        "promotion_id": promotion_id,
        "promoted_at": promoted["recorded_at"],
        "requested": requested
        and {
            "by": requested["actor"],
            "at": requested["recorded_at"],
            "reason": requested["reason"],
            "event": reference(requested),
        },
        "evidence_digest": requested and requested["data"].get("digest"),
        "evidence": requested and requested["data"].get("evidence"),
        "approvers": [
            _approval(e)
            for e in evidence.promotion
            if e["type"] == "ReviewApproved" and e["promotion_id"] == promotion_id
        ],
        "override": override
        and {
            "by": override["actor"],
            "at": override["recorded_at"],
            "reason": override["reason"] or override["data"].get("reason"),
        },
        "policy": granted and granted["data"].get("policy"),
        "gates": gates["data"].get("results") if gates else None,
        "granted": granted and reference(granted),
        "event": reference(promoted),
    }


def _approval(event: Event) -> dict[str, Any]:
    data = event["data"]
    stated = {name: data.get(name) for name in ("role", "comment", "conditions")}
    return {
        "subject": data.get("approver") or event["actor"]["subject"],
        "at": event["recorded_at"],
        **stated,
        "event": reference(event),
    }


def _last(events: Iterable[Event], type_: str) -> Event | None:
    found = [event for event in events if event["type"] == type_]
    return found[-1] if found else None
