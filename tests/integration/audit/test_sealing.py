"""Every event of every service becomes one leaf, whatever happens to the sealer; and who changes history is
found out.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import uuid
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from regista.wire.checkpoint import Checkpoint, signed
from regista.wire.keys import generate_signing_key
from regista.wire.merkle import root_of
from services.audit import queries
from services.audit.leader import follow_log
from services.audit.log_verification.verifier import Verifier
from services.audit.sealing import Sealer, SealingLags, check_lag
from shared.foundation.postgres import connect_pool
from shared.foundation.settings import Settings
from shared.http.app import App
from shared.log import eventlog
from shared.migrate import migrate
from tests.integration.approval.conftest import until_true
from tests.integration.audit.conftest import Audit, Log


async def findings(database, audit_key):
    pool = await connect_pool(database.url("audit"), schemas=("audit",))
    try:
        verifier = Verifier(audit_key)
        await verifier.request(pool)
        await verifier.work(pool)
        return {f.name: f for f in (await verifier.report(pool)).findings}
    finally:
        await pool.close()


async def write_slowly(database, service, worker, streams, seed):
    """Transactions that stay open for a while, so that sequence numbers become visible out of order."""
    chance = random.Random(seed)
    connection = await asyncpg.connect(database.url(service))
    revisions = dict.fromkeys(streams, 0)
    try:
        for _ in range(25):
            async with connection.transaction():
                for _ in range(chance.randint(1, 3)):
                    stream = chance.choice(streams)
                    revisions[stream] += 1
                    row = eventlog.Row(
                        stream,
                        revisions[stream],
                        uuid.uuid4(),
                        "Happened",
                        1,
                        f'{{"by":"{worker}","n":{revisions[stream]}}}'.encode(),
                    )
                    await eventlog.append(connection, service, [row])
                await connection.fetchval("SELECT pg_sleep($1)", chance.random() / 100)
    finally:
        await connection.close()


async def test_every_event_is_sealed_exactly_once_while_writers_overlap_and_the_sealer_is_cut_off(
    database, audit: Audit, audit_key
):
    services = ["registry", "approval", "artifact", "cleanup"] * 2
    writers = [
        asyncio.create_task(write_slowly(database, service, n, [f"s{n}-{k}" for k in range(3)], n))
        for n, service in enumerate(services)
    ]
    cut_off = 0
    while not all(w.done() for w in writers):
        connection = await asyncpg.connect(database.url("audit"))
        step = asyncio.create_task(Sealer(audit_key).step(connection))
        await asyncio.sleep(random.random() / 50)
        cut_off += not step.done()
        connection.terminate()
        await asyncio.gather(step, return_exceptions=True)
    await asyncio.gather(*writers)
    await audit.catch_up()
    total = await audit.connection.fetchval("SELECT count(*) FROM log.events")
    assert await audit.connection.fetchval("SELECT count(*) FROM audit.sealed") == total > 200
    found = await findings(database, audit_key)
    assert all(f.holds for f in found.values()), found
    assert found["I2-sealed"].checked == total


async def test_the_stored_tree_is_that_of_the_leaves_in_the_logs_order(log: Log, audit: Audit):
    for n in range(9):
        await log.append("registry", f"x-{n % 2}", "Happened", {"n": n})
    await audit.catch_up()
    rows = await audit.connection.fetch("SELECT e.leaf FROM log.events e ORDER BY e.tx, e.seq")
    assert await audit.connection.fetchval("SELECT root FROM audit.checkpoints WHERE size = 9") == root_of(
        [row[0] for row in rows]
    )


async def test_a_second_sealer_that_thinks_it_leads_writes_nothing(
    log: Log, audit: Audit, database, audit_key
):
    late = Sealer(audit_key)
    other = await asyncpg.connect(database.url("audit"))
    try:
        await late.step(other)
        await log.append("registry", "x-1", "Happened", {})
        await audit.catch_up()
        await log.append("registry", "x-1", "Happened", {})
        with pytest.raises(asyncpg.UniqueViolationError):
            await late.step(other)
    finally:
        await other.close()
    await audit.catch_up()
    assert await audit.connection.fetchval("SELECT count(*) FROM audit.sealed") == 2


async def test_sealed_leaves_and_checkpoints_cannot_be_changed_even_by_audit_itself(log: Log, audit: Audit):
    await log.append("registry", "x-1", "Happened", {})
    await audit.catch_up()
    for statement in (
        "UPDATE audit.sealed SET seq = 99",
        "DELETE FROM audit.sealed",
        "TRUNCATE audit.checkpoints",
        "UPDATE audit.checkpoints SET note = ''",
        "ALTER TABLE audit.sealed DISABLE TRIGGER append_only",
        "ALTER TABLE audit.checkpoints DISABLE TRIGGER ALL",
        "DROP TABLE audit.sealed",
        "DROP SCHEMA audit CASCADE",
        "ALTER SCHEMA audit RENAME TO other",
        "CREATE OR REPLACE FUNCTION audit.refuse() RETURNS trigger LANGUAGE sql AS 'SELECT 1'",
        "UPDATE audit.tree SET origin = 'another'",
        "UPDATE audit.tree SET size = 0, tx = 0, seq = 0, edge = ''",
        "UPDATE audit.tree SET edge = decode(repeat('00', 32), 'hex')",
        "DELETE FROM audit.tree",
        "TRUNCATE audit.tree",
        "UPDATE audit.chunks SET first = 0",
        "CREATE TRIGGER mine BEFORE INSERT ON audit.sealed EXECUTE FUNCTION audit.refuse()",
        "CREATE RULE mine AS ON INSERT TO audit.sealed DO INSTEAD NOTHING",
    ):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await audit.connection.execute(statement)


async def test_every_role_has_time_limits(audit: Audit, database):
    async def limit(connection, name):
        return await connection.fetchval("SELECT current_setting($1, true)", name)

    for service in ("registry", "audit"):
        connection = await asyncpg.connect(database.url(service))
        try:
            await migrate(database.owner_url)  # a copy of a template does not have the template's settings
            version = connection.get_server_version().major
        finally:
            await connection.close()
        connection = await asyncpg.connect(database.url(service))
        try:
            assert await limit(connection, "lock_timeout") == "1min"
            assert await limit(connection, "statement_timeout") == "15min"
            assert await limit(connection, "idle_in_transaction_session_timeout") == "1min"
            assert await limit(connection, "transaction_timeout") == ("15min" if version >= 17 else None)
        finally:
            await connection.close()


async def test_a_transaction_left_open_delays_the_seal_and_is_reported_and_nothing_is_lost(
    audit: Audit, database
):
    hour_ago = datetime.now(UTC) - timedelta(hours=1)
    holder, writer = (
        await asyncpg.connect(database.url("registry")),
        await asyncpg.connect(database.url("approval")),
    )
    try:
        left_open = holder.transaction()
        await left_open.start()
        await eventlog.append(
            holder, "registry", [eventlog.Row("x-1", 1, eventlog.uuid7(hour_ago), "Happened", 1, b"{}")]
        )
        await eventlog.append(
            writer, "approval", [eventlog.Row("y-1", 1, eventlog.uuid7(hour_ago), "Happened", 1, b"{}")]
        )
        await audit.catch_up(whole=False)
        assert await audit.connection.fetchval("SELECT count(*) FROM audit.sealed") == 0
        with pytest.raises(SealingLags):
            await check_lag(audit.connection)
        await left_open.commit()
    finally:
        await holder.close()
        await writer.close()
    await audit.catch_up()
    await check_lag(audit.connection)
    rows = await audit.connection.fetch("SELECT service FROM audit.sealed ORDER BY leaf_index")
    assert [row["service"] for row in rows] == ["registry", "approval"]


async def rewrite(database, statement):
    """What only an owner who switches the triggers off can do."""
    owner = await asyncpg.connect(database.owner_url)
    try:
        await owner.execute("ALTER TABLE log.events DISABLE TRIGGER append_only")
        await owner.execute(statement)
    finally:
        await owner.close()


@pytest.mark.parametrize(
    ("statement", "broken"),
    [
        (
            "UPDATE log.events SET bytes = '{}' WHERE stream = 'x-1' AND revision = 2",
            {"I2-sealed", "I7-index"},
        ),
        ("DELETE FROM log.events WHERE stream = 'x-1' AND revision = 2", {"I2-sealed", "I2-streams"}),
        ("DELETE FROM log.events WHERE stream = 'x-1' AND revision = 3", {"I2-sealed"}),
        ("UPDATE log.events SET tx = '3' WHERE stream = 'x-1' AND revision = 3", {"I2-streams", "I7-index"}),
    ],
)
async def test_a_rewritten_log_is_found(log: Log, audit: Audit, database, audit_key, statement, broken):
    for n in range(3):
        await log.append("registry", "x-1", "Happened", {"n": n})
    await audit.catch_up()
    assert all(f.holds for f in (await findings(database, audit_key)).values())
    await rewrite(database, statement)
    assert {name for name, f in (await findings(database, audit_key)).items() if not f.holds} == broken


async def test_a_checkpoint_over_another_history_or_by_another_key_is_found_out(
    log: Log, audit: Audit, database, audit_key
):
    for _ in range(3):
        await log.append("registry", "x-1", "Happened", {})
    await audit.catch_up()
    forged = Checkpoint(await audit.connection.fetchval("SELECT origin FROM audit.tree"), 2, bytes(32))
    note = signed(forged, forged.origin, generate_signing_key("service:audit").private)
    await audit.connection.execute(
        "INSERT INTO audit.checkpoints (size, root, note) VALUES (2, $1, $2)", forged.root, note
    )
    found = await findings(database, audit_key)
    assert [v["size"] for v in found["I4-checkpoints"].violations] == [2, 2]


@contextlib.asynccontextmanager
async def tailing(database, key):
    """The leader as the service runs it; yields its readiness."""
    app = App("audit", Settings(database_url=database.url("audit")))
    task = asyncio.create_task(follow_log(app, key))
    try:
        yield app.readiness
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_after_an_outage_a_server_restored_behind_the_log_is_refused(
    log: Log, audit: Audit, database, audit_key
):
    app = App("audit", Settings(database_url=database.url("audit")))
    task = asyncio.create_task(follow_log(app, audit_key))

    async def waits() -> bool:
        return "regista restore accept" in app.readiness.reasons.get("published", "")

    try:
        await log.append("registry", "x-1", "Happened", {})
        await until_true(lambda: audit.connection.fetchval("SELECT max(size) = 1 FROM audit.checkpoints"))
        owner = await asyncpg.connect(database.owner_url)
        await owner.execute(
            "INSERT INTO log.events_registry (service, tx, stream, revision, event_id, type, schema, bytes)"
            " VALUES ('registry', '999999999999', 'x-1', 2, gen_random_uuid(), 'Happened', 1, '{}')"
        )
        await owner.close()
        ended = (
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name = 'leader audit' AND datname = current_database()"
        )
        assert await audit.connection.fetchval(ended)
        await until_true(waits)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_an_event_that_cannot_be_indexed_is_sealed_and_signed_and_indexed_later(
    log: Log, audit: Audit, database, audit_key
):
    await audit.connection.execute(
        "ALTER TABLE audit.event_index ADD CONSTRAINT broken CHECK (type <> 'Poison')"
    )
    async with tailing(database, audit_key) as readiness:
        for type_ in ("Happened", "Poison", "Happened"):
            await log.append("registry", "x-1", type_, {})
        await until_true(lambda: audit.connection.fetchval("SELECT max(size) = 3 FROM audit.checkpoints"))
        await until_true(lambda: value_of("CheckViolationError" in readiness.reasons.get("index", "")))
        assert "leader" not in readiness.reasons
        await audit.connection.execute("ALTER TABLE audit.event_index DROP CONSTRAINT broken")
        await until_true(lambda: audit.connection.fetchval("SELECT count(*) = 3 FROM audit.event_index"))
        await until_true(lambda: value_of(not readiness.reasons))


async def value_of(value):
    return value


async def test_texts_longer_than_an_index_entry_are_indexed_and_found(log: Log, audit: Audit, database):
    long = secrets.token_hex(20_000)
    model_id = str(uuid.uuid4())
    event_id = await log.append(
        "registry", f"model-{model_id}", "Happened", {"promotion_id": long, "model": long}, correlation=long
    )
    await audit.catch_up()
    pool = await connect_pool(database.url("audit"), schemas=("audit",))
    try:
        assert [str(row["event_id"]) for row in await queries.of_correlation(pool, long)] == [event_id]
        promotions = await queries.promotions(pool, [long])
        assert [event["event_id"] for event in promotions[long]] == [event_id]
        found = await queries.model(pool, long)
        assert found is not None
        assert found[0] == model_id
    finally:
        await pool.close()
