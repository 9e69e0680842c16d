"""What the database itself refuses, for every role."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

DENIED = asyncpg.InsufficientPrivilegeError
COLUMNS = "service, stream, revision, event_id, type, schema, bytes"
VALUES = "'{service}', 'thing-1', {revision}, gen_random_uuid(), 'T', 1, 'x'"


async def _as(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


def _insert(service: str, revision: int = 1, table: str = "") -> str:
    return (
        f"INSERT INTO log.{table or 'events_' + service} ({COLUMNS}) VALUES"
        f" ({VALUES.format(service=service, revision=revision)})"
    )


async def test_a_service_appends_to_its_own_partition_and_reads_it(database: Any) -> None:
    await _as(database.url("approval"), _insert("approval"))
    assert len(await _as(database.url("approval"), "SELECT bytes FROM log.events_approval")) == 1


@pytest.mark.parametrize(
    "sql",
    [
        _insert("registry"),
        _insert("access"),
        _insert("approval", table="events"),
        "SELECT bytes FROM log.events_registry",
        "SELECT bytes FROM log.events",
        "UPDATE log.events_approval SET type = 'U'",
        "DELETE FROM log.events_approval",
        "TRUNCATE log.events_approval",
        (
            f"INSERT INTO log.events_approval ({COLUMNS}, tx) VALUES"
            f" ({VALUES.format(service='approval', revision=2)}, '5')"
        ),
        (
            f"INSERT INTO log.events_approval ({COLUMNS}, seq) VALUES"
            f" ({VALUES.format(service='approval', revision=2)}, 5)"
        ),
        "SELECT setval('log.event_seq', 1)",
        "ALTER TABLE log.events_approval DISABLE TRIGGER ALL",
        "DROP TABLE log.events_approval",
        "CREATE TABLE log.mine (id int)",
        "SELECT * FROM registry.inbox",
    ],
)
async def test_a_service_may_do_nothing_else_with_the_log(database: Any, sql: str) -> None:
    with pytest.raises(DENIED):
        await _as(database.url("approval"), sql)


async def test_every_service_reads_identities_and_only_registry_writes_them(database: Any) -> None:
    await _as(database.url("registry"), _insert("access"))
    for service in ("approval", "artifact", "cleanup", "audit"):
        assert len(await _as(database.url(service), "SELECT bytes FROM log.events_access")) == 1


async def test_the_auditor_reads_everything_and_writes_nothing(database: Any) -> None:
    await _as(database.url("approval"), _insert("approval"))
    assert len(await _as(database.url("audit"), "SELECT bytes FROM log.events")) == 1
    with pytest.raises(DENIED):
        await _as(database.url("audit"), _insert("approval", revision=2))


@pytest.mark.parametrize(
    "sql",
    [
        "UPDATE log.events SET type = 'U'",
        "DELETE FROM log.events",
        "TRUNCATE log.events",
        "TRUNCATE log.events_approval",
    ],
)
async def test_even_the_owner_cannot_change_what_happened(database: Any, sql: str) -> None:
    await _as(database.url("approval"), _insert("approval"))
    with pytest.raises(DENIED, match="append-only"):
        await _as(database.owner_url, sql)


async def test_beside_its_key_the_log_has_the_readers_index_and_no_other(database: Any) -> None:
    rows = await _as(
        database.owner_url,
        "SELECT indexdef FROM pg_indexes WHERE schemaname = 'log' AND tablename = 'events_approval'",
    )
    assert {row["indexdef"].partition("USING btree ")[2] for row in rows} == {
        "(service, stream, revision)",
        "(tx, seq)",
    }


async def test_the_leaf_is_computed_by_the_database_from_the_bytes(database: Any) -> None:
    await _as(database.url("approval"), _insert("approval"))
    rows = await _as(
        database.url("approval"),
        (
            "SELECT leaf = sha256('\\x00'::bytea || bytes) AS same, tx ="
            " pg_snapshot_xmin(pg_current_snapshot()) FROM log.events_approval"
        ),
    )
    assert rows[0]["same"]


async def test_a_taken_revision_is_refused(database: Any) -> None:
    await _as(database.url("approval"), _insert("approval"))
    with pytest.raises(asyncpg.UniqueViolationError):
        await _as(database.url("approval"), _insert("approval"))


async def test_an_event_of_usual_size_stays_in_its_row(database: Any) -> None:
    incompressible = "(SELECT string_agg(sha256(n::text::bytea), '') FROM generate_series(1, 150) AS n)"
    values = VALUES.format(service="approval", revision=1).replace("'x'", incompressible)
    await _as(database.url("approval"), f"INSERT INTO log.events_approval ({COLUMNS}) VALUES ({values})")
    moved_out = (
        "SELECT coalesce(sum(pg_relation_size(reltoastrelid)), 0) FROM pg_class WHERE relnamespace ="
        " 'log'::regnamespace AND reltoastrelid <> 0"
    )
    assert (await _as(database.url("approval"), "SELECT length(bytes) FROM log.events_approval"))[0][
        0
    ] == 150 * 32
    assert (await _as(database.url("approval"), moved_out))[0][0] == 0
