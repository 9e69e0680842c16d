"""Check one page of leaves: events, tree, checkpoints, and the decisions behind Production."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from uuid import UUID

import asyncpg

from regista.wire.checkpoint import BadCheckpoint, opened
from regista.wire.keys import SigningKey
from regista.wire.merkle import Tree, leaf_hash
from services.audit import queries, tiles
from services.audit.domain.checked import INDEXED_COLUMNS, column_faults, index_fault
from services.audit.domain.production import champion_of, production_faults, serving_faults
from services.audit.domain.reading import Stored, read
from services.audit.log_verification import decided
from services.audit.log_verification.people import deciders, identities
from services.audit.sealing import edge_of
from shared.deciding.events import Cursor

STREAMS, SEALED, CHECKPOINTS, PRODUCTION = "I2-streams", "I2-sealed", "I4-checkpoints", "I9-production"
INDEX = "I7-index"

RULES = {
    STREAMS: "every stream runs 1..n without holes, in the order readers see",
    SEALED: "every event up to the seal is one leaf, and every leaf is its event's bytes; columns say what"
    " the bytes say",
    CHECKPOINTS: "every checkpoint is signed and is a prefix of the tree",
    INDEX: "timelines, as-of and events find every event by what its bytes say",
    PRODUCTION: "nothing reached Production, or serves as champion, without a decision over the same digest"
    " by independent people, or a policy or an override that states otherwise",
}

# How far the log is sealed, and how many leaves are indexed and in tiles, at one moment.
LOG_STATE = """
SELECT t.origin, t.size, t.edge, t.tx, t.seq, t.tiled, (i.tx, i.seq) >= (t.tx, t.seq) AS all_indexed,
    (SELECT s.leaf_index + 1 FROM audit.sealed s WHERE s.seq = i.seq) AS indexed,
    (SELECT max(c.size) FROM audit.checkpoints c) AS signed
FROM audit.tree t CROSS JOIN audit.index_state i
"""

# Leaves in order with the events they stand for, as the log has them now: one look-up an event.
LEAVES = """
SELECT e.tx::text::bigint AS tx, e.seq, s.service, s.stream, s.revision, e.event_id, e.type, e.leaf, e.bytes,
    e.schema, s.leaf_index, s.leaf AS sealed, e.event_id = s.event_id AND e.seq = s.seq AS same
FROM audit.sealed s
LEFT JOIN LATERAL (
    SELECT l.* FROM log.events l
    WHERE l.service = s.service AND l.stream = s.stream AND l.revision = s.revision LIMIT 1
) AS e ON true
WHERE s.leaf_index >= $1 AND s.leaf_index < $2 ORDER BY s.leaf_index
"""

# Events between two positions of the log that are no leaf. A scalar sub-select: one look-up an event.
UNSEALED = """
SELECT e.service, e.stream, e.revision FROM log.events e
WHERE (e.tx, e.seq) > ($1::text::xid8, $2) AND (e.tx, e.seq) <= ($3::text::xid8, $4)
    AND (SELECT s.seq FROM audit.sealed s WHERE s.seq = e.seq) IS NULL
ORDER BY e.tx, e.seq LIMIT 100
"""

POSITIONS = """
SELECT e.service, e.stream, e.revision, e.tx::text::bigint AS tx, e.seq
FROM unnest($1::text[], $2::text[], $3::bigint[]) AS wanted(service, stream, revision)
JOIN log.events e ON e.service = wanted.service AND e.stream = wanted.stream AND e.revision = wanted.revision
"""

INDEXED_ROWS = f"""
SELECT i.tx, i.seq, {", ".join(f"i.{name}" for name in INDEXED_COLUMNS)}
FROM unnest($1::bigint[], $2::bigint[]) AS wanted(tx, seq) CROSS JOIN LATERAL (
    SELECT h.* FROM audit.event_index h WHERE h.generation = (SELECT generation FROM audit.index_state)
        AND h.tx = wanted.tx AND h.seq = wanted.seq LIMIT 1
) AS i
"""

NOT_MENTIONED = """
SELECT wanted.* FROM unnest($1::uuid[], $2::bigint[], $3::bigint[], $4::bigint[])
    AS wanted(model_id, number, tx, seq)
WHERE NOT EXISTS (
    SELECT FROM audit.mentions m WHERE m.generation = (SELECT generation FROM audit.index_state)
        AND m.model_id = wanted.model_id AND m.number = wanted.number AND m.note IN (true, false)
        AND m.tx = wanted.tx AND m.seq = wanted.seq
)
"""

SIGNED = "SELECT size, root, note FROM audit.checkpoints WHERE size > $1 AND size <= $2 ORDER BY size"


@dataclass(frozen=True, slots=True)
class LogState:
    """The sealed log at one moment. `verifiable`: leaves that are indexed and in tiles."""

    origin: str
    tree: Tree
    cursor: Cursor
    verifiable: int
    signed: int


async def log_state(pool: asyncpg.Pool) -> LogState:
    """Return how far the log is sealed, signed and indexed."""
    row = await pool.fetchrow(LOG_STATE)
    return LogState(
        row["origin"],
        Tree(row["size"], edge_of(row["edge"])),
        Cursor(row["tx"], row["seq"]),
        min(row["tiled"], row["size"] if row["all_indexed"] else row["indexed"] or 0),
        row["signed"] or 0,
    )


@dataclass(frozen=True, slots=True)
class Position:
    """The tree over the leaves before `tree.size`, and the position of the newest event among them."""

    tree: Tree
    cursor: Cursor


@dataclass(slots=True)
class Tally:
    """What was checked for one invariant."""

    checked: int = 0
    violations: int = 0
    took_ms: float = 0.0


@dataclass(slots=True)
class Findings:
    """What pages were found to be, by invariant."""

    tallies: dict[str, Tally] = field(default_factory=lambda: {name: Tally() for name in RULES})
    violations: dict[str, list[Any]] = field(default_factory=lambda: defaultdict(list))

    @contextmanager
    def of(self, invariant: str) -> Iterator[list[Any]]:
        """Yield the list that takes the violations of an invariant, and measure how long its check takes."""
        began, found = time.perf_counter(), list[Any]()
        yield found
        tally = self.tallies[invariant]
        tally.violations += len(found)
        tally.took_ms += (time.perf_counter() - began) * 1000
        self.violations[invariant] += found


async def check_page(
    pool: asyncpg.Pool, key: SigningKey, log: LogState, at: Position, end: int
) -> tuple[Position, Findings]:
    """Check the leaves from `at` to `end - 1`. Return the position behind them, and what was found."""
    findings = Findings()
    rows = await pool.fetch(LEAVES, at.tree.size, end, timeout=600)
    present = [row for row in rows if row["bytes"] is not None]
    newest = Cursor(present[-1]["tx"], present[-1]["seq"]) if present else at.cursor
    cursor = log.cursor if end == log.tree.size else min(newest, log.cursor)
    with findings.of(SEALED) as faults:
        findings.tallies[SEALED].checked += len(rows)
        faults.extend(_changed(at.tree.size, end, rows))
        unsealed = await pool.fetch(UNSEALED, str(at.cursor.tx), at.cursor.seq, str(cursor.tx), cursor.seq)
        faults.extend([dict(row) | {"fault": "not sealed"} for row in unsealed])
    with findings.of(CHECKPOINTS) as faults:
        faults.extend(await _checkpoints(pool, key, log, at.tree, end, rows, findings.tallies[CHECKPOINTS]))
    with findings.of(SEALED) as faults:
        tree, stored = at.tree.append(row["sealed"] for row in rows), await _stored_tree(pool, log, end)
        if tree != stored:
            faults.append(
                {"fault": "the leaves do not give the stored tree", "leaves": tree.size, "tree": end}
            )
    with findings.of(STREAMS) as faults:
        findings.tallies[STREAMS].checked += len(present)
        faults.extend(await _out_of_order(pool, present))
        faults.extend(_not_in_order_of_leaves(at.cursor, present))
    with findings.of(INDEX) as faults:
        findings.tallies[INDEX].checked += len(present)
        faults.extend(await _index_faults(pool, present))
    with findings.of(PRODUCTION) as faults:
        faults.extend(await _undecided(pool, present, findings.tallies[PRODUCTION]))
    return Position(stored, cursor), findings


async def _stored_tree(pool: asyncpg.Pool, log: LogState, size: int) -> Tree:
    return log.tree if size == log.tree.size else Tree(size, await tiles.edge_at(pool, size))


def _changed(first: int, end: int, rows: Sequence[asyncpg.Record]) -> Iterator[dict[str, Any]]:
    """Yield the leaves that are missing, and those that are not their event's bytes."""
    there = {row["leaf_index"] for row in rows}
    yield from ({"leaf_index": n, "fault": "leaf missing"} for n in range(first, end) if n not in there)
    for row in rows:
        if (
            row["bytes"] is None
            or not row["same"]
            or not leaf_hash(row["bytes"]) == row["sealed"] == row["leaf"]
        ):
            yield _named(row, "leaf_index") | {"fault": "the log's event is not what was sealed"}
        elif differing := column_faults(row):
            columns = ", ".join(differing)
            yield _named(row, "leaf_index") | {"fault": f"its columns differ from its bytes: {columns}"}


def _named(row: asyncpg.Record, *more: str) -> dict[str, Any]:
    return {name: row[name] for name in (*more, "service", "stream", "revision")}


async def _checkpoints(
    pool: asyncpg.Pool,
    key: SigningKey,
    log: LogState,
    tree: Tree,
    end: int,
    rows: Sequence[asyncpg.Record],
    tally: Tally,
) -> list[dict[str, Any]]:
    """Compare the root at every size in the page that was signed."""
    faults, first = list[dict[str, Any]](), tree.size
    for row in await pool.fetch(SIGNED, first or -1, end):
        tally.checked += 1
        size = row["size"]
        tree = tree.append(leaf["sealed"] for leaf in rows[tree.size - first : size - first])
        if tree.size != size or tree.root != row["root"]:
            faults.append({"size": size, "fault": "its root is not that of the leaves"})
        try:
            signed = opened(row["note"], log.origin, key.public)
        except BadCheckpoint as bad:
            faults.append({"size": size, "fault": str(bad)})
        else:
            if (signed.origin, signed.size, signed.root) != (log.origin, size, row["root"]):
                faults.append({"size": size, "fault": "the note differs from its row"})
    if end == log.tree.size and log.signed > end:
        faults.append({"size": log.signed, "fault": "it covers more leaves than are sealed"})
    return faults


async def _out_of_order(pool: asyncpg.Pool, rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Compare each event with the one before it in its stream, which must be earlier in the log's order."""
    at = {(r["service"], r["stream"], r["revision"]): (r["tx"], r["seq"]) for r in rows}
    before = {
        wanted
        for service, stream, revision in at
        if revision > 1 and (wanted := (service, stream, revision - 1)) not in at
    }
    if before:
        found = await pool.fetch(POSITIONS, *([key[i] for key in before] for i in range(3)), timeout=600)
        earlier = {(r["service"], r["stream"], r["revision"]): (r["tx"], r["seq"]) for r in found}
    else:
        earlier = {}
    faults = []
    for row in rows:
        service, stream, revision = row["service"], row["stream"], row["revision"]
        predecessor = (service, stream, revision - 1)
        position = at.get(predecessor) or earlier.get(predecessor)
        if revision > 1 and position is None:
            faults.append(_named(row) | {"fault": "the revision before it is missing"})
        elif position is not None and position > (row["tx"], row["seq"]):
            faults.append(_named(row) | {"fault": "out of order: it is before its predecessor in the log"})
    return faults


def _not_in_order_of_leaves(before: Cursor, rows: Sequence[asyncpg.Record]) -> Iterator[dict[str, Any]]:
    """Yield the events whose position in the log is not behind that of the leaf before, in any stream."""
    for row in rows:
        position = Cursor(row["tx"], row["seq"])
        if position <= before:
            yield _named(row, "leaf_index") | {"fault": "its position is before that of an earlier leaf"}
        before = position


async def _index_faults(pool: asyncpg.Pool, rows: Sequence[asyncpg.Record]) -> list[dict[str, Any]]:
    """Compare the index with the events: what it lacks, or has with other values, would not be shown."""
    entries = [read(Stored(Cursor(row["tx"], row["seq"]), *tuple(row)[2:9])) for row in rows]
    columns = [[e.stored.cursor.tx for e in entries], [e.stored.cursor.seq for e in entries]]
    found = {(r["tx"], r["seq"]): tuple(r)[2:] for r in await pool.fetch(INDEXED_ROWS, *columns, timeout=600)}
    faults = [
        _named(row) | {"fault": fault}
        for row, entry in zip(rows, entries, strict=True)
        if (fault := index_fault(entry, found.get((row["tx"], row["seq"]), ())))
    ]
    mentions = [(UUID(m), n, e) for e in entries for m, ns in e.models.items() for n in (0, *ns) if n >= 0]
    wanted = [[m for m, _, _ in mentions], [n for _, n, _ in mentions]]
    at = [[e.stored.cursor.tx for _, _, e in mentions], [e.stored.cursor.seq for _, _, e in mentions]]
    for missing in await pool.fetch(NOT_MENTIONED, *wanted, *at, timeout=600):
        model, number = missing["model_id"], missing["number"]
        position = (missing["tx"], missing["seq"])
        row = next(row for row in rows if (row["tx"], row["seq"]) == position)
        faults.append(_named(row) | {"fault": f"the timeline of model {model}, version {number}, lacks it"})
    return faults


async def _undecided(
    pool: asyncpg.Pool, rows: Sequence[asyncpg.Record], tally: Tally
) -> list[dict[str, Any]]:
    """Check the promotions to Production and the champions of a page."""
    promoted = [queries.with_object(row) for row in rows if row["type"] == "VersionPromoted"]
    serving = [queries.with_object(row) for row in rows if row["type"] in {"RolloutChanged", "RolledBack"}]
    tally.checked += len(promoted) + len(serving)
    faults = list[dict[str, Any]]()
    if promoted:
        promotions = await queries.promotions(pool, {_promotion_id(e) for e in promoted})
        policies = await decided.policies(pool, {_policy(events)[0] for events in promotions.values()})
        people = await identities(pool, {who for events in promotions.values() for who in deciders(events)})
        for event in promoted:
            events = promotions.get(_promotion_id(event), [])
            policy = policies.get(_policy(events))
            source = await decided.adopted(pool, event, events)
            check = partial(production_faults, promotion=events, policy=policy, identities=people)
            faults += _faults(event, partial(check, registered=source))
    if serving:
        champions = {
            (e["stream"], str(e["data"].get("environment")), number)
            for e in serving
            if isinstance(number := champion_of(e), int) and abs(number) < 2**63
        }
        first_promoted = await decided.first_promoted(pool, champions)
        for event in serving:
            faults += _faults(event, partial(serving_faults, promoted_at=first_promoted))
    return faults


def _faults(event: queries.Event, check: Callable[[queries.Event], list[str]]) -> list[dict[str, Any]]:
    """Return what a check finds; an event that it cannot read is a fault, too."""
    try:
        found = check(event)
    except Exception as error:  # noqa: BLE001 - whatever stored events hold, verification goes on
        found = [f"its events cannot be read ({type(error).__name__}: {error})"]
    shown = {name: event[name] for name in ("event_id", "stream", "number")}
    return [shown | {"fault": fault} for fault in found]


def _promotion_id(promoted: queries.Event) -> str:
    return str(promoted["data"].get("promotion_id") or "")


def _policy(promotion: Sequence[queries.Event]) -> tuple[str, str]:
    """Return name and digest of the policy that the newest grant of a promotion names."""
    grants = [e["data"].get("policy") for e in promotion if e["type"] == "PromotionGranted"]
    named = grants[-1] if grants and isinstance(grants[-1], dict) else {}
    return str(named.get("name")), str(named.get("digest"))
