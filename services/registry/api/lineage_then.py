"""Answer `as_of` of a lineage: what a version had been made from, and what had been made from it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any

from services.registry.api.past import model_then, moment_of, named_then
from services.registry.as_of import answers
from services.registry.as_of.replay import MOST_EVENTS, Then, TooLong, then
from services.registry.lineage import queries
from services.registry.tables import SERVED
from shared.http.app import App
from shared.http.routes import Call

MOST_MODELS = 100
"""Models whose versions then are read for one answer."""
FACTS = ("semver", "stage", "dataset_name", "dataset_digest", "registered_at", "withdrawn")
Served = Mapping[int, Sequence[dict[str, Any]]]
UNKNOWN: Mapping[str, Any] = {
    "stage": None,
    "withdrawn": None,
    "retired": False,
    "rollouts": [],
    "served": [],
}


async def lineage_then(call: Call[Any, Any], as_of: datetime | date) -> dict[str, Any]:
    """Return both directions as they were, and the models whose versions are not known, in `too_long`."""
    found, at = await model_then(call, as_of), moment_of(as_of)
    number = named_then(found, call.path["version"])["number"]
    root, readable, pool = [(found.model_id, number)], call.readable(), call.app.pool
    above = await queries.walk(pool, queries.ANCESTORS_THEN, root, readable, at)
    below = await queries.walk(pool, queries.DESCENDANTS_THEN, root, readable, at)
    visible = [row for row in (*above, *below) if row["visible"]]
    known = await _models(call.app, found, (row["model_id"] for row in visible if row["number"]), at)
    served = {model_id: _served(one) for model_id, one in known.items()}
    nodes = [[_node(row, known, served) for row in rows if row["visible"]] for rows in (above, below)]
    return {
        "model_id": found.model_id,
        "model": found.model["name"],
        "number": number,
        "ancestors": nodes[0],
        "descendants": nodes[1],
        "hidden": len(above) + len(below) - len(visible),
        "truncated": max(len(above), len(below)) >= queries.MOST_SHOWN,
        "too_long": sorted({r["model"] for r in visible if r["number"] and r["model_id"] not in known}),
    }


async def _models(app: App, own: Then, wanted: Iterable[str], at: datetime) -> Mapping[str, Then]:
    """Return the models as they were, as long as all of them have MOST_EVENTS at most."""
    known, left = {own.model_id: own}, MOST_EVENTS
    for model_id in list(dict.fromkeys(wanted))[:MOST_MODELS]:
        if model_id not in known and left > 0:
            try:
                known[model_id] = await then(app, model_id, at, left)
            except TooLong:
                continue
            left -= known[model_id].revision
    return known


def _served(found: Then) -> Served:
    """Return where each version of a model had served, by its number, the earliest first."""
    served = defaultdict(list)
    for one in sorted(found.rows(SERVED), key=lambda one: one["since"]):
        shown = {name: one[name] for name in ("environment", "since", "until")}
        served[one["number"]].append(shown)
    return served


def _node(row: Mapping[str, Any], known: Mapping[str, Then], served: Mapping[str, Served]) -> dict[str, Any]:
    """Return a version of the lineage with what it was then, as far as its model is known."""
    shown: dict[str, Any] = {name: value for name, value in row.items() if name != "visible"}
    shown.update(UNKNOWN)
    found = known.get(row["model_id"])
    if found is None:
        return shown
    version = found.version(row["number"])
    if version is None:  # a parent that is not in this registry
        return shown
    return (
        shown
        | {name: version[name] for name in FACTS}
        | {
            "model": found.model["name"],
            "retired": version["retired"] is not None,
            "rollouts": answers.shares(found, row["number"]),
            "served": served[row["model_id"]].get(row["number"], []),
        }
    )
