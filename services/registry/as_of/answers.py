"""Make the answers of the API from the rows of a moment. They have the shapes of those of now. Pure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from services.registry.as_of.replay import Row, Then
from services.registry.domain.model.past import PRODUCTION
from services.registry.remarks.queries import MOST_SHOWN
from services.registry.tables import (
    ALIASES,
    CORRECTIONS,
    EVALUATIONS,
    MEASUREMENTS,
    NOTES,
    PROMOTIONS,
    ROLLOUTS,
    VERSIONS,
)
from shared.deciding.events import encode

METRIC = ("name", "value", "dataset_name", "dataset_digest", "higher_is_better", "independent")
LINE = (
    "model_id",
    "number",
    "semver",
    "stage",
    "artifact_digest",
    "artifact_state",
    "description",
    "tags",
    "creator",
    "registered_at",
    "registered_by",
    "correlation_id",
    "missing",
    "reasons",
    "bump_level",
    "bump_rule",
    "legal_hold",
    "withdrawn",
    "withdrawal_proposed",
    "retired",
    "revision",
    "dataset_name",
    "dataset_digest",
    "imported_from",
)
"""The columns of VERSIONS that a list shows as they are."""


def model_row(then: Then) -> dict[str, Any]:
    """Return the row of the model as the query of models does."""
    newest = next(iter(then.versions()), {"number": None, "semver": None})
    production = next(
        (r["champion"] for r in then.rows(ROLLOUTS) if r["environment"] == PRODUCTION and r["champion"]), None
    )
    more = {"newest": newest["number"], "newest_semver": newest["semver"], "production": production}
    return {**then.model, **more}


def version_lines(then: Then) -> list[dict[str, Any]]:
    """Return the versions as a list shows them, the newest first."""
    measured = defaultdict(list)
    for row in then.rows(MEASUREMENTS):
        measured[row["number"]].append(row)
    model = then.model["name"]
    return [
        {name: row[name] for name in LINE}
        | {
            "model": model,
            "gates_passed": row["gates"]["passed"] if row["gates"] else None,
            "primary_metric": primary_metric(measured[row["number"]]),
        }
        for row in then.versions()
    ]


def primary_metric(measured: Iterable[Row]) -> dict[str, Any] | None:
    """Return the primary metric of a version, as `search.queries.PRIMARY_METRIC` finds it."""
    rows = list(measured)
    marked = {row["name"] for row in rows if row["primary_metric"]} or {row["name"] for row in rows}
    if len(marked) != 1:
        return None
    of_name = sorted(
        (row for row in rows if row["name"] in marked),
        key=lambda row: (not row["independent"], -row["revision"], row["dataset_digest"], row["definition"]),
    )
    return {name: of_name[0][name] for name in METRIC}


def version_row(then: Then, row: Row) -> dict[str, Any]:
    """Return a version, of which this is the row, with everything around it as the query of versions does.

    Whether versions of other models that it was made from were withdrawn, `withdrawn_ancestors`, is not in
    this model's events: None.
    """
    number = row["number"]
    return {
        **row,
        "corrected": encode(row["corrected"]) if row["corrected"] else None,
        "model": then.model["name"],
        "kind": then.model["kind"],
        "rollouts": shares(then, number),
        "withdrawn_ancestors": None,
        "notes": _notes([r for r in then.rows(NOTES) if r["number"] == number]),
        "corrections": [
            {name: r[name] for name in ("field", "before", "after", "by", "at", "reason")}
            for r in _by((r for r in then.rows(CORRECTIONS) if r["number"] == number), "revision", "field")
        ][-MOST_SHOWN:],
        "evaluations": [
            _evaluation(r) for r in _by(then.rows(EVALUATIONS), "revision") if r["number"] == number
        ],
        "aliases": sorted(r["alias"] for r in then.rows(ALIASES) if r["number"] == number),
        "promotions": [
            {k: v for k, v in r.items() if k not in {"model_id", "number", "digest"}}
            for r in _by(then.rows(PROMOTIONS), "requested_at")
            if r["number"] == number
        ],
    }


def shares(then: Then, number: int) -> list[dict[str, Any]]:
    """Return where a version was in a rollout, with its share."""
    return [
        {"environment": r["environment"], "percent": e["percent"], "role": e["role"]}
        for r in _by(then.rows(ROLLOUTS), "environment")
        for e in msgspec.to_builtins(r["entries"])
        if e["number"] == number
    ]


def rollouts(then: Then) -> list[dict[str, Any]]:
    """Return who served in each environment, as the query of rollouts does."""
    withdrawn = {row["number"]: row["withdrawn"] for row in then.rows(VERSIONS)}
    found = []
    for row in _by(then.rows(ROLLOUTS), "environment"):
        entries = [
            e | {"withdrawn": withdrawn.get(e["number"])} | _grant(then, row["environment"], e["number"])
            for e in msgspec.to_builtins(row["entries"])
        ]
        found.append({**row, "model": then.model["name"], "dry_run": False, "entries": entries})
    return found


def _grant(then: Then, environment: str, number: int) -> dict[str, Any]:
    """Return under which conditions a version served, and whether its grant was withdrawn."""
    of_version = [
        row
        for row in _by(then.rows(PROMOTIONS), "requested_at")
        if (row["environment"], row["number"]) == (environment, number)
    ]
    promoted = [row for row in of_version if row["state"] == "promoted"]
    conditions = max(promoted, key=lambda row: row["closed_at"])["conditions"] if promoted else None
    lost = not promoted and any(row["state"] == "withdrawn" for row in of_version)
    return {"conditions": conditions or [], "grant_withdrawn": lost}


def _notes(rows: Iterable[Row]) -> list[dict[str, Any]]:
    """Return the last text of each note, with the times of the first and of the last."""
    texts: dict[int, list[Row]] = defaultdict(list)
    for row in _by(rows, "note", "revision"):
        texts[row["note"]].append(row)
    return [
        {
            **{name: of_note[-1][name] for name in ("note", "text", "by")},
            "at": of_note[0]["at"],
            "corrected_at": of_note[-1]["at"] if len(of_note) > 1 else None,
        }
        for of_note in texts.values()
    ]


def _evaluation(row: Row) -> dict[str, Any]:
    same = ("name", "value", "dataset_digest", "dataset_name", "definition", "higher_is_better")
    renamed: Mapping[str, Any] = {"primary": row["primary_metric"], "by": row["measured_by"]}
    return {
        **{name: row[name] for name in same},
        **renamed,
        "independent": row["independent"],
        "recorded_at": row["recorded_at"],
    }


def _by(rows: Iterable[Row], *names: str) -> list[Row]:
    return sorted(rows, key=lambda row: tuple(row[name] for name in names))


def usable(version: Mapping[str, Any]) -> bool:
    """Return whether `@latest` might name a version, as `tables.USABLE` states it."""
    unused = version["withdrawn"] or version["retired"] or version["stage"] == "Rejected"
    return bool(version["semver"]) and not unused
