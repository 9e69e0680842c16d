"""Answer with signed tree heads and with proofs against them."""

from __future__ import annotations

import base64
from typing import Any

import asyncpg

from regista.wire.merkle import Range, consistency_ranges, inclusion_ranges
from services.audit import proof_queries, shapes, tiles
from services.audit.parts import Parts
from services.audit.sealing import verifier
from shared.deciding.decider import NotFound, Unprocessable
from shared.http.problems import Problem
from shared.http.routes import Call, PageQuery, Route

AUDITOR = "auditor"


async def get_log_checkpoints(call: Call[None, PageQuery]) -> dict[str, Any]:
    """Return signed tree heads, newest first.

    Keep copies elsewhere: only a copy outside shows that the owner of the key and the database rewrote the
    log.
    """
    call.require(AUDITOR, "")
    origin, tree_size = await proof_queries.tree(call.app.pool)
    (below,) = call.query.after(int) or (2**63 - 1,)
    rows = await proof_queries.checkpoints(call.app.pool, below, call.query.page_size)
    items = [
        {"size": r["size"], "root": r["root"].hex(), "note": r["note"], "signed_at": r["signed_at"]}
        for r in rows
    ]
    return {
        "origin": origin,
        "tree_size": tree_size,
        "verifier_key": verifier(origin, call.app.parts_as(Parts).key),
        "items": items,
        "next_page_token": call.query.next_token(rows, "size"),
    }


async def get_inclusion(call: Call[None, shapes.InclusionQuery]) -> dict[str, Any]:
    """Return the proof that a leaf is in the tree of a log checkpoint (RFC 9162 §2.1.3)."""
    index, size = call.query.leaf_index, await _size(call, call.query.size)
    if index >= size:
        raise NotFound(
            "unknown_leaf",
            f"The tree of size {size} has the leaves 0 to {size - 1}: name one of them, or a larger `size`.",
        )
    proof = await _proof(call.app.pool, inclusion_ranges(index, size))
    row = await proof_queries.leaf(call.app.pool, index)
    if row is None:
        raise NotFound(
            "unknown_leaf",
            f"Leaf {index} is missing: run `regista audit invariants` and report what it shows.",
        )
    return {
        "leaf_index": index,
        "size": size,
        "leaf": row["leaf"].hex(),
        "proof": proof,
        "stored": base64.b64encode(row["bytes"]).decode() if row["bytes"] is not None else None,
    }


async def get_consistency(call: Call[None, shapes.ConsistencyQuery]) -> dict[str, Any]:
    """Return the proof that the tree of one log checkpoint is a prefix of another's (RFC 9162 §2.1.4)."""
    first, size = call.query.first, await _size(call, call.query.size)
    if first > size:
        raise Unprocessable(
            "not_a_prefix",
            f"{first} is larger than {size}: `first` is the size of the older log checkpoint.",
        )
    proof = await _proof(call.app.pool, consistency_ranges(first, size))
    return {"first": first, "size": size, "proof": proof}


async def _size(call: Call[Any, Any], size: int | None) -> int:
    """Return the size of the tree that a proof is about: all sealed leaves where none is named."""
    call.require(AUDITOR, "")
    _, sealed = await proof_queries.tree(call.app.pool)
    if size is not None and size > sealed:
        raise NotFound(
            "unknown_tree",
            f"{sealed} events are sealed so far: name this size, or that of a log checkpoint.",
            listed_at="/v1/log-checkpoints",
        )
    return sealed if size is None else size


async def _proof(pool: asyncpg.Pool, ranges: list[Range]) -> list[str]:
    try:
        return [node.hex() for node in await tiles.heads_over(pool, ranges)]
    except tiles.NotTiled as missing:
        raise Problem(
            503,
            "proofs_not_ready",
            "The tiles of an older log are still being filled in: repeat the request later.",
            {"retry-after": "5"},
        ) from missing


ROUTES = (
    Route(
        "GET",
        "/v1/log-checkpoints",
        get_log_checkpoints,
        "Signed tree heads, newest first",
        query=PageQuery,
        response=shapes.LogCheckpoints,
        former=["/v1/checkpoints"],
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
    ),
    Route(
        "GET",
        "/v1/proofs/consistency",
        get_consistency,
        "The proof that the sealed log only grew between two log checkpoints",
        query=shapes.ConsistencyQuery,
        response=shapes.Consistency,
        tags=["audit"],
    ),
)
