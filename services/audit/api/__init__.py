"""HTTP of audit: questions about the past, and what proves the answers. For auditors."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

from regista.wire import merkle
from regista.wire.keys import SigningKey
from services.audit import queries, shapes
from services.audit.checks import check_all
from services.audit.domain import history, reading
from services.audit.domain.causes import forest
from services.audit.sealing import verifier
from shared.deciding.access import namespace_of, permits
from shared.deciding.decider import NotFound, Unprocessable
from shared.http.problems import Problem
from shared.http.routes import Call, PageQuery, Route

AUDITOR = "auditor"
CLOCKS_DIFFER = timedelta(minutes=1)


async def _model(call: Call, name_or_id: str) -> tuple[str, str]:
    """(id, name) of a model the caller may ask about.

    Whoever may not ask learns nothing, not even whether it exists.
    """
    found = await queries.model(call.app.pool, name_or_id)
    call.require(AUDITOR, namespace_of(found[1] if found else name_or_id))
    if found is None:
        raise NotFound(
            "unknown_model",
            f"No event speaks of a model {name_or_id!r}: check the name, or wait a moment if it was just registered.",
        )
    return found


async def get_timeline(call: Call) -> dict[str, Any]:
    """Who did what to a model, when, why, and what caused it.

    Of what is about other models only who may read those is told more than where it is.
    """
    model_id, name = await _model(call, call.path["model"])
    after = call.query.after(int, int) or (0, 0)
    rows = await queries.timeline(call.app.pool, model_id, call.query.number, after, call.query.page_size)
    found = [queries.as_json(row) for row in rows]
    shown = {event["event_id"] for event in found}
    led_to_them = await queries.causes(
        call.app.pool, sorted({e["causation_id"] for e in found} - shown - {""})
    )
    may_read = await _readable(call, [*found, *led_to_them])
    events = [history.told(event, hidden=not may_read(owners(event) or {model_id})) for event in found]
    causes = [
        history.told(cause, hidden=not may_read(owners(cause)))
        for cause in led_to_them
        if cause["event_id"] not in shown
    ]
    more = call.query.next_token(rows, "tx", "seq")
    known = {event["event_id"]: event for event in (*causes, *events)}
    for event in events:
        cause = known.get(event["causation_id"])
        event["caused_by"] = cause and history.reference(cause) | {
            "actor": cause["actor"],
            "reason": cause["reason"],
        }
    items = forest(causes + events) if call.query.tree else events
    return {"model_id": model_id, "model": name, "items": items, "next_page_token": more}


def owners(event: dict[str, Any]) -> frozenset[str]:
    return reading.owners(event["stream"], event["data"])


async def _readable(call: Call, events: Sequence[dict[str, Any]]) -> Callable[[Collection[str]], bool]:
    """Whether the caller may read what these models own. What no model owns is for auditors of everything."""
    names = await queries.names(call.app.pool, {model_id for event in events for model_id in owners(event)})
    return lambda models: all(
        permits(call.access_state, AUDITOR, namespace_of(names.get(m, ""))) for m in models or {""}
    )


async def get_as_of(call: Call) -> dict[str, Any]:
    """What served in an environment at a moment, with who approved each version and on what evidence."""
    model_id, name = await _model(call, call.query.model)
    indexed = await queries.indexed_up_to(call.app.pool)
    at, environment = call.query.at or indexed, call.query.environment
    if at > datetime.now(UTC) + CLOCKS_DIFFER:
        raise Unprocessable(
            "moment_in_the_future", "Nobody knows that yet: leave `at` out for what is known now."
        )
    if at > indexed:
        raise Problem(
            503,
            "not_indexed_yet",
            f"All is known up to {indexed.isoformat()}: repeat the request in a moment.",
            {"retry-after": "1"},
        )
    told = {
        "model_id": model_id,
        "model": name,
        "environment": environment,
        "at": at,
        "indexed_up_to": indexed,
    }
    find, stream = partial(queries.up_to, call.app.pool), f"model-{model_id}"
    serving = await find(stream, history.SERVING, at, environment=environment)
    if not serving:
        return told | {"since": None, "changed_by": None, "entries": []}
    evidence: dict[int, history.Evidence] = {}
    for entry in serving[0]["data"].get("entries") or []:
        number = entry["number"]
        born = await find(stream, history.BORN, at, number=number)
        promoted = await find(stream, ("VersionPromoted",), at, environment=environment, number=number)
        of_promotion = (
            await queries.promotion(call.app.pool, promoted[0]["data"].get("promotion_id") or "")
            if promoted
            else []
        )
        promotion = [event for event in of_promotion if event["recorded_at"] <= at]
        evidence[number] = history.Evidence(
            born[0] if born else None, promoted[0] if promoted else None, promotion
        )
    return told | history.answer(serving[0], evidence)


async def get_events(call: Call) -> dict[str, Any]:
    """Stored events of a stream, or of everything that one request led to."""
    call.require(AUDITOR, "")
    if bool(call.query.stream) == bool(call.query.correlation_id):
        raise Unprocessable("stream_or_correlation", "Name either a stream or a correlation_id.")
    sql, value = (
        (queries.OF_STREAM, call.query.stream)
        if call.query.stream
        else (queries.OF_CORRELATION, call.query.correlation_id)
    )
    after = call.query.after(int, int) or (0, 0)
    rows = await queries.events(call.app.pool, sql, value, after, call.query.page_size)
    more = call.query.next_token(rows, "tx", "seq")
    return {"items": [queries.as_json(row) for row in rows], "next_page_token": more}


async def get_checkpoints(key: SigningKey, call: Call) -> dict[str, Any]:
    """Signed tree heads, newest first.

    Keep copies elsewhere: only a copy outside shows that history was rewritten by who holds the key.
    """
    call.require(AUDITOR, "")
    place = await queries.place(call.app.pool)
    after = call.query.after(int) or (2**63 - 1,)
    rows = await queries.checkpoints(call.app.pool, after[0], call.query.page_size)
    more = call.query.next_token(rows, "size")
    items = [
        {"size": r["size"], "root": r["root"].hex(), "note": r["note"], "signed_at": r["signed_at"]}
        for r in rows
    ]
    return {
        "origin": place["origin"],
        "tree_size": place["size"],
        "verifier_key": verifier(place["origin"], key),
        "items": items,
        "next_page_token": more,
    }


async def get_inclusion(call: Call) -> dict[str, Any]:
    """That a leaf is in the tree of a checkpoint: RFC 9162 §2.1.3, to be verified by whoever asks."""
    leaves = await _leaves(call, call.query.size)
    index, size = call.query.leaf_index, len(leaves)
    if index >= size:
        raise NotFound(
            "unknown_leaf",
            f"The tree of size {size} has the leaves 0 to {size - 1}: ask for one of them, or name a larger `size`.",
        )
    proof = await asyncio.to_thread(merkle.inclusion_proof, leaves, index)
    stored = await queries.leaf(call.app.pool, index)
    return {
        "leaf_index": index,
        "size": size,
        "leaf": leaves[index].hex(),
        "proof": [node.hex() for node in proof],
        "stored": base64.b64encode(stored).decode() if stored is not None else None,
    }


async def get_consistency(call: Call) -> dict[str, Any]:
    """That the tree of one checkpoint is a prefix of another's: RFC 9162 §2.1.4."""
    first, leaves = call.query.first, await _leaves(call, call.query.size)
    if first > len(leaves):
        raise Unprocessable(
            "not_a_prefix",
            f"{first} is larger than {len(leaves)}: `first` is the size of the older checkpoint.",
        )
    proof = await asyncio.to_thread(merkle.consistency_proof, leaves, first)
    return {"first": first, "size": len(leaves), "proof": [node.hex() for node in proof]}


async def _leaves(call: Call, size: int | None) -> list[bytes]:
    call.require(AUDITOR, "")
    sealed = (await queries.place(call.app.pool))["size"]
    if size is not None and size > sealed:
        raise NotFound(
            "unknown_tree",
            f"{sealed} events are sealed so far: GET /v1/checkpoints shows the sizes that are signed.",
        )
    return await queries.leaves(call.app.pool, sealed if size is None else size)


async def get_invariants(key: SigningKey, call: Call) -> dict[str, Any]:
    """Checks the log now. Reads all of it."""
    call.require(AUDITOR, "")
    findings = await check_all(call.app.pool, key)
    return {"holds": all(f.holds for f in findings), "at": datetime.now(UTC), "invariants": findings}


def routes(key: SigningKey) -> list[Route]:
    """The routes, with the key whose checkpoints they show."""
    return [
        Route(
            "GET",
            "/v1/timeline/{model}",
            get_timeline,
            "Who did what to a model, when, why, and what caused it",
            query=shapes.TimelineQuery,
            response=shapes.Timeline,
            tags=["audit"],
        ),
        Route(
            "GET",
            "/v1/as-of",
            get_as_of,
            "What was in production at a moment, and why",
            query=shapes.AsOfQuery,
            response=shapes.AsOf,
            tags=["audit"],
        ),
        Route(
            "GET",
            "/v1/events",
            get_events,
            "Stored events",
            query=shapes.EventsQuery,
            response=shapes.Events,
            tags=["audit"],
        ),
        Route(
            "GET",
            "/v1/checkpoints",
            partial(get_checkpoints, key),
            "Signed tree heads, newest first",
            query=PageQuery,
            response=shapes.Checkpoints,
            tags=["audit"],
        ),
        Route(
            "GET",
            "/v1/proofs/inclusion",
            get_inclusion,
            "The proof that an event is in the sealed log, with its stored bytes",
            query=shapes.InclusionQuery,
            response=shapes.Inclusion,
            tags=["audit"],
            timeout=120,
        ),
        Route(
            "GET",
            "/v1/proofs/consistency",
            get_consistency,
            "The proof that the sealed log only grew between two checkpoints",
            query=shapes.ConsistencyQuery,
            response=shapes.Consistency,
            tags=["audit"],
            timeout=120,
        ),
        Route(
            "GET",
            "/v1/invariants",
            partial(get_invariants, key),
            "Check the log now",
            response=shapes.Invariants,
            tags=["audit"],
            timeout=600,
        ),
    ]
