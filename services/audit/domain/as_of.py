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
    corrections: Sequence[Event] = field(default_factory=tuple)
    promoted: Event | None = None
    promotion: Sequence[Event] = field(default_factory=tuple)

    @property
    def events(self) -> Iterator[Event]:
        """All of them."""
        found = (self.registered, *self.corrections, self.promoted, *self.promotion)
        return (event for event in found if event is not None)


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
    version = _version(evidence.registered, evidence.corrections)
    return shown | {"version": version, "promotion": promotion(evidence)}


def _version(registered: Event | None, corrections: Sequence[Event]) -> dict[str, Any] | None:
    """Return a version with the metadata that stood then, and the corrections that led to them."""
    if registered is None:
        return None
    return {
        "registered_at": registered["recorded_at"],
        "registered_by": registered["actor"],
        "metadata": corrected(registered["data"].get("metadata"), corrections),
        "corrections": [_correction(event) for event in corrections],
        "event": reference(registered),
    }


def corrected(metadata: Any, corrections: Iterable[Event]) -> Any:
    """Return the metadata with the corrections, in their order. A field is named by its dotted path."""
    for event in corrections:
        for change in _changes(event):
            metadata = _with(metadata, str(change.get("field") or "").split("."), change.get("after"))
    return metadata


def _with(document: Any, path: Sequence[str], value: Any) -> Any:
    """Return a copy of the document with another value at the path. None removes a value."""
    first, *rest = path
    parts = dict(document) if isinstance(document, Mapping) else {}
    return parts | {first: _with(parts.get(first), rest, value) if rest else value}


def _changes(event: Event) -> list[Mapping[str, Any]]:
    found = event["data"].get("changes")
    return [one for one in found if isinstance(one, Mapping)] if isinstance(found, list) else []


def _correction(event: Event) -> dict[str, Any]:
    changes = [{name: one.get(name) for name in ("field", "before", "after")} for one in _changes(event)]
    return {
        "by": event["actor"],
        "at": event["recorded_at"],
        "reason": event["reason"],
        "changes": changes,
        "event": reference(event),
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
