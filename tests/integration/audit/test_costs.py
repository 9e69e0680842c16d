"""What a question reads does not grow with the log: rows and buffers, counted at two sizes."""

from __future__ import annotations

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

import asyncpg
import msgspec
import pytest

from regista.wire.keys import SigningKey
from regista.wire.merkle import consistency_ranges, inclusion_ranges, root_of, verify_consistency
from regista.wire.tiles import last_tiles
from services.audit import moment_queries, queries, report_queries, tiles
from services.audit.log_verification import people, runs
from services.audit.log_verification.pages import RULES, SEALED, log_state
from services.audit.log_verification.verifier import PAGE, Verifier
from services.audit.sealing import Sealer
from shared.deciding.events import Actor, Envelope, encode
from shared.foundation.postgres import connect_pool
from shared.log import eventlog
from tests.integration.audit.conftest import (
    EPOCH,
    MODEL,
    STREAM,
    Audit,
    Log,
    at,
    promoted,
    published,
    registered,
)

pytestmark = pytest.mark.servers

SMALL, LARGE = 500, 8_000

READ_ROWS = """
SELECT coalesce(sum(coalesce(seq_tup_read, 0) + coalesce(idx_tup_fetch, 0)), 0)::bigint
FROM pg_stat_xact_all_tables
WHERE schemaname IN ('log', 'audit')
"""


async def grow(log: Log, versions: int) -> None:
    """Register so many versions of one model in one stream, each with an event about its artifact."""
    first = log.revisions.get(STREAM, 0) + 1
    for page in range(first, first + versions, 1_000):
        rows = [
            row(STREAM, n, "VersionRegistered", {"model": "fraud.churn", "number": n})
            for n in range(page, min(page + 1_000, first + versions))
        ]
        about = [
            row(
                f"artifact-{uuid.uuid4().hex}",
                1,
                "Noted",
                {"data": {"model_id": MODEL, "number": r.revision}},
            )
            for r in rows
        ]
        await eventlog.append(log.connections["registry"], "registry", rows)
        await eventlog.append(log.connections["approval"], "approval", about)
    log.revisions[STREAM] = first + versions - 1


def row(stream: str, revision: int, type_: str, data: dict[str, Any]) -> eventlog.Row:
    id_ = uuid.uuid4()
    who = Actor("ann", method="api-key")
    envelope = Envelope(
        id_, type_, 1, stream, revision, EPOCH, who, msgspec.Raw(encode(data)), None, "", str(id_), ""
    )
    return eventlog.Row(stream, revision, id_, type_, 1, encode(envelope))


@dataclass
class Read:
    rows: int
    buffers: int
    statements: int


async def reading(connection: asyncpg.Connection, ask: Callable[[Any], Awaitable[object]]) -> Read:
    """Return what `ask` reads: rows in its transaction, buffers of its statements by EXPLAIN."""
    logged: list[Any] = []
    async with connection.transaction():
        before = await connection.fetchval(READ_ROWS)
        with connection.query_logger(logged.append):
            await ask(connection)
        rows = await connection.fetchval(READ_ROWS) - before
    buffers = 0
    for statement in logged:
        text = await connection.fetchval(
            "EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + statement.query, *statement.args
        )
        plan = json.loads(text)[0]["Plan"]
        buffers += plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]
    return Read(rows, buffers, len(logged))


QUESTIONS: dict[str, Callable[[Any], Awaitable[object]]] = {
    "until when the index is complete": queries.indexed_up_to,
    "what served": lambda c: queries.serving(c, STREAM, "production", at(60)),
    "how a version was registered": lambda c: queries.registered(c, STREAM, 1, at(60)),
    "how a version was promoted": lambda c: queries.promoted(c, STREAM, 1, "production", at(60)),
    "a promotion": lambda c: queries.promotions(c, ["p1"]),
    "the timeline of a version": lambda c: queries.timeline(c, MODEL, 1, queries.Span(), 20),
    "the timeline of a model": lambda c: queries.timeline(c, MODEL, None, queries.Span(), 20),
    "the newest events of a model": lambda c: queries.timeline(
        c, MODEL, None, queries.Span((2**62, 0), newest=True, notes=False), 20
    ),
    "promotions of a period": lambda c: report_queries.decisions(
        c, "promotion", None, at(0), (at(60), 2**62, 0), 20
    ),
    "promotions of a model": lambda c: report_queries.decisions(
        c, "promotion", MODEL, at(0), (at(60), 2**62, 0), 20
    ),
    "overrides of all models": lambda c: c.fetch(people.OF_TYPE, "OverrideUsed"),
    "acts of a person": lambda c: report_queries.acts(c, "bea", at(0), (at(60), 2**62, 0), 20),
    "what served in all models": lambda c: report_queries.serving(c, at(60), ("", ""), 20),
    "who approved what served": lambda c: report_queries.promoted(c, [(STREAM, 1, "production")], at(60)),
    "the first events of a stream": lambda c: queries.of_streams(c, [STREAM], 0, 20),
    "later events of a stream": lambda c: queries.of_streams(c, [STREAM], 300, 20),
    "events of a correlation": lambda c: queries.of_correlation(c, "promotion-1", (0, 0), 20),
    "moments of the log": lambda c: moment_queries.moments(c, at(0), at(60), at(30)),
    "a model by its name": lambda c: queries.model(c, "fraud.churn"),
}


@pytest.fixture
async def small(log: Log, audit: Audit) -> Log:
    await published(log)
    await registered(log, 1, "1.0.0")
    await promoted(log, 1, "1.0.0")
    await grow(log, SMALL)
    await audit.catch_up()
    await analyzed(log)
    return log


async def analyzed(log: Log) -> None:
    owner = await asyncpg.connect(log.database.owner_url)
    await owner.execute("ANALYZE")
    await owner.close()


async def larger(log: Log, audit: Audit) -> None:
    await grow(log, LARGE)
    await audit.catch_up()
    await analyzed(log)


@pytest.mark.parametrize("plans", ["force_custom_plan", "force_generic_plan"])
async def test_no_question_reads_more_of_a_larger_log(small: Log, audit: Audit, plans: str) -> None:
    await audit.connection.execute(f"SET plan_cache_mode = {plans}")
    before = {name: await reading(audit.connection, ask) for name, ask in QUESTIONS.items()}
    await larger(small, audit)
    after = {name: await reading(audit.connection, ask) for name, ask in QUESTIONS.items()}
    assert all(read.buffers > 0 and read.statements > 0 for read in before.values())
    grown = {
        name: (before[name], read)
        for name, read in after.items()
        if read.statements > before[name].statements
        or read.rows > before[name].rows + 5
        or read.buffers > before[name].buffers * 1.5 + 20
    }
    assert grown == {}


async def test_the_last_page_of_a_long_stream_costs_what_its_first_page_costs(
    small: Log, audit: Audit
) -> None:
    await larger(small, audit)
    newest = small.revisions[STREAM]
    first = await reading(audit.connection, lambda c: queries.of_streams(c, [STREAM], 0, 20))
    last = await reading(audit.connection, lambda c: queries.of_streams(c, [STREAM], newest - 20, 20))
    assert last.rows <= first.rows + 5
    assert last.buffers <= first.buffers * 1.5 + 20


async def test_a_proof_reads_a_few_tiles_and_no_leaf(small: Log, audit: Audit) -> None:
    await larger(small, audit)
    leaves = [r[0] for r in await audit.connection.fetch("SELECT leaf FROM audit.sealed ORDER BY leaf_index")]
    size = len(leaves)
    await audit.connection.execute("SET enable_seqscan = off")  # so small a table is read whole otherwise

    for ranges in (inclusion_ranges(size // 3, size), consistency_ranges(size // 3, size)):
        read = await reading(audit.connection, lambda c, r=ranges: tiles.heads_over(c, r))  # type: ignore[misc]
        assert 0 < read.rows <= 2 * size.bit_length()
        assert read.statements == 1
    proof = await tiles.heads_over(audit.connection, consistency_ranges(size // 3, size))
    old, new = root_of(leaves[: size // 3]), root_of(leaves)
    assert verify_consistency(size // 3, old, size, new, proof)


async def test_a_tree_sealed_before_there_were_tiles_gets_them(
    small: Log, audit: Audit, audit_key: SigningKey
) -> None:
    stored = "SELECT level, index, hashes FROM audit.tiles ORDER BY level, index"
    before = [tuple(r) for r in await audit.connection.fetch(stored)]
    await audit.connection.execute("TRUNCATE audit.tiles")
    await audit.connection.execute("UPDATE audit.tree SET tiled = 0")
    with pytest.raises(tiles.NotTiled):
        await tiles.heads_over(audit.connection, inclusion_ranges(0, 900))
    await Sealer(audit_key).step(audit.connection)
    assert [tuple(r) for r in await audit.connection.fetch(stored)] == before
    size = await audit.connection.fetchval("SELECT size FROM audit.tree WHERE tiled = size")
    assert set(last_tiles(size)) <= {(level, index) for level, index, _ in before}


@pytest.fixture
async def pool(database: Any) -> AsyncIterator[asyncpg.Pool]:
    made = await connect_pool(database.url("audit"), schemas=("audit",))
    yield made
    await made.close()


async def test_every_leaf_is_verified_once_however_often_the_invariants_are_asked_for(
    small: Log, audit: Audit, audit_key: SigningKey, pool: asyncpg.Pool
) -> None:
    verifier = Verifier(audit_key)
    for _ in range(3):
        await grow(small, 10)
        await audit.catch_up()
        report = await verifier.report(pool)
        size = await audit.connection.fetchval("SELECT size FROM audit.tree")
        assert report.holds, report.findings
        assert (report.verified, report.sealed) == (size, size)
        assert {f.name: f.checked for f in report.findings}[SEALED] == size


async def test_a_full_run_that_is_cut_off_goes_on_where_it_was_and_replaces_what_was_shown(
    small: Log, audit: Audit, audit_key: SigningKey, pool: asyncpg.Pool
) -> None:
    await grow(small, 2 * PAGE)
    await audit.catch_up()
    verifier = Verifier(audit_key)
    first = (await verifier.report(pool)).run
    under_way = await verifier.request(pool)
    assert under_way.run > first.run
    assert (await verifier.request(pool)).run == under_way.run
    assert len(under_way.bounded) == runs.PARTS
    working = asyncio.create_task(verifier.work(pool))
    while not ((under_way := (await runs.runs(pool))[1]) and under_way.verified):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    working.cancel()
    await asyncio.gather(working, return_exceptions=True)
    seen = await verifier.report(pool)
    assert seen.run.run == first.run
    assert seen.under_way is not None
    assert seen.under_way.verified > 0
    await grow(small, 5)
    await audit.catch_up()
    await verifier.work(pool)
    after = await verifier.report(pool)
    size = (await log_state(pool)).tree.size
    assert (after.run.run, after.under_way, after.verified, after.holds) == (
        seen.under_way.run,
        None,
        size,
        True,
    )
    assert after.run.tally(SEALED).checked == size
    assert {f.name for f in after.findings} == set(RULES)
