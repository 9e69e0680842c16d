"""Lineage: what a version was made from, what was made from it, and which versions used a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import asyncpg

from services.registry.api.calls import model_of, number_of
from services.registry.api.lineage_then import lineage_then
from services.registry.domain.model.state import stream_of
from services.registry.domain.promotion.refusal import RefusePromotion
from services.registry.lineage import queries
from services.registry.shapes.common import AsOfQuery
from services.registry.shapes.lineage import LineageAnswer, LineageQuery, TrainedOnQuery, TrainedVersions
from shared.deciding.submission import Submission
from shared.http.routes import Call, Route

_INTERNAL = ("visible",)


async def list_trained_on(call: Call[None, TrainedOnQuery]) -> dict[str, Any]:
    """List versions of all models that the caller may read, and what was made from them."""
    call.require_any_role()
    q, pool, readable = call.query, call.app.pool, call.readable()
    after = q.after(str, int) or ("", 0)
    values = (q.trained_on, *after, readable, q.page_size)
    page = await call.app.list_rows(queries.trained_on_sql(readable), *values, search=readable is not None)
    uses = {(row["model_id"], row["number"]): row["use"] for row in page}
    trained = [pair for pair, use in uses.items() if use == "training"]
    direct = await queries.walk(pool, queries.VERSIONS, list(uses), readable)
    below = await queries.walk(pool, queries.DESCENDANTS, trained, readable) if trained else []
    items = [_node(row) | {"use": uses[row["model_id"], row["number"]]} for row in direct]
    items += [
        _node(row) | {"use": "parent"}
        for row in below
        if row["visible"] and (row["model_id"], row["number"]) not in uses
    ]
    return {
        "items": items,
        "truncated": _is_cut(below),
        "next_page_token": q.next_token(page, "model_id", "number"),
    }


async def read_lineage(call: Call[None, AsOfQuery]) -> dict[str, Any]:
    """Return both directions. Versions that the caller may not see are counted."""
    if call.query.as_of is not None:
        return await lineage_then(call, call.query.as_of)
    model = await model_of(call)
    number = await number_of(call, model)
    root = [(model.model_id, number)]
    above = await queries.walk(call.app.pool, queries.ANCESTORS, root, call.readable())
    below = await queries.walk(call.app.pool, queries.DESCENDANTS, root, call.readable())
    (own,) = await queries.walk(call.app.pool, queries.VERSIONS, root, call.readable()) or ({"model": ""},)
    return _lineage(model.model_id, own["model"], number, above, below)


async def read_outside_lineage(call: Call[None, LineageQuery]) -> dict[str, Any]:
    """Return what was made from a parent that is not in this registry."""
    call.require_any_role()
    parent = call.query.parent
    below = await queries.walk(call.app.pool, queries.DESCENDANTS, [(parent, 0)], call.readable())
    return _lineage(parent, parent, 0, [], below)


def _lineage(
    model_id: str,
    model: str,
    number: int,
    above: Sequence[asyncpg.Record],
    below: Sequence[asyncpg.Record],
) -> dict[str, Any]:
    return {
        "model_id": model_id,
        "model": model,
        "number": number,
        "ancestors": [_node(row) for row in above if row["visible"]],
        "descendants": [_node(row) for row in below if row["visible"]],
        "hidden": sum(not row["visible"] for row in (*above, *below)),
        "truncated": _is_cut(above) or _is_cut(below),
        "too_long": [],
    }


def _node(row: asyncpg.Record) -> dict[str, Any]:
    return {name: value for name, value in row.items() if name not in _INTERNAL}


def _is_cut(rows: Sequence[asyncpg.Record]) -> bool:
    return len(rows) >= queries.MOST_SHOWN


async def refuse_promotions_below(call: Call[Any], model_id: str, number: int) -> None:
    """Refuse the open promotions of what was made from a withdrawn version, so that their reviews end.

    Those without a withdrawn ancestor stay: the withdrawal was only proposed. A promotion that is requested
    or granted at the same time is refused by its own check.
    """
    for child_model_id, child, promotion_id in await queries.open_below(call.app.pool, model_id, number):
        withdrawn = await queries.recalled_ancestors(call.app.pool, child_model_id, child)
        if not withdrawn:
            continue
        reasons = tuple(f"the version {why}" for why in withdrawn)
        command = RefusePromotion(child_model_id, promotion_id, reasons)
        cause = replace(call.cause(), id=f"{call.cause().id}/refuse/{promotion_id}")
        streams = (stream_of(child_model_id),)
        await call.app.transactor.submit(Submission(command, streams, cause, call.actor))


ROUTES = (
    Route(
        "GET",
        "/v1/versions",
        list_trained_on,
        "What a data set went into, and where it serves and served",
        query=TrainedOnQuery,
        response=TrainedVersions,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/models/{model}/versions/{version}/lineage",
        read_lineage,
        "What a version was made from, and what was made from it",
        query=AsOfQuery,
        response=LineageAnswer,
        tags=["versions"],
    ),
    Route(
        "GET",
        "/v1/lineage",
        read_outside_lineage,
        "What was made from a parent that is not in this registry",
        query=LineageQuery,
        response=LineageAnswer,
        tags=["versions"],
    ),
)
