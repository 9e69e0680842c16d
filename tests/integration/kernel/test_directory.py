"""The directory of names: which roles may use it, and what is never stored again."""

from __future__ import annotations

from typing import Any

import asyncpg
import pytest

from shared.identity import directory
from shared.migrate import migrate

DENIED = asyncpg.InsufficientPrivilegeError
READ = "SELECT name FROM directory.names"
WRITES = (
    "INSERT INTO directory.names (subject, name, revision) VALUES ('u-2', 'X', 1)",
    "UPDATE directory.names SET name = 'X'",
    "DELETE FROM directory.names",
    "TRUNCATE directory.names",
)


async def _as(url: str, sql: str) -> Any:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetch(sql)
    finally:
        await connection.close()


@pytest.fixture
async def pool(database: Any) -> Any:
    async with asyncpg.create_pool(database.url("registry"), min_size=1) as pool:
        yield pool


@pytest.mark.parametrize("service", ["approval", "artifact", "cleanup", "audit"])
@pytest.mark.parametrize("sql", WRITES)
async def test_only_registry_writes_names(database: Any, pool: Any, service: str, sql: str) -> None:
    await directory.write(pool, "u-1", "Ada Lovelace", 1)
    with pytest.raises(DENIED):
        await _as(database.url(service), sql)


async def test_only_services_that_show_names_may_read_them(database: Any, pool: Any) -> None:
    await directory.write(pool, "u-1", "Ada Lovelace", 1)
    assert [row["name"] for row in await _as(database.url("approval"), READ)] == ["Ada Lovelace"]
    for service in ("artifact", "cleanup", "audit"):
        with pytest.raises(DENIED):
            await _as(database.url(service), READ)


async def test_an_earlier_revision_that_arrives_late_changes_nothing(pool: Any) -> None:
    await directory.write(pool, "u-1", "Ada Lovelace", 1)
    await directory.write(pool, "u-1", None, 4)
    for revision in (1, 3, 4):
        await directory.write(pool, "u-1", "Ada Lovelace", revision)
    assert (await directory.stored_name(pool, "u-1")).all == ()


async def test_a_person_is_still_recognised_by_an_erased_name(pool: Any) -> None:
    await directory.write(pool, "u-1", "Ada Byron", 1)
    await directory.write(pool, "u-1", "Ada Lovelace", 2)
    await directory.write(pool, "u-1", None, 3)
    person = await directory.person(pool, "u-1")
    found = [person.is_among([name]) for name in ("ada  byron", "Ada Lovelace", "Ada King")]
    assert found == [True, True, False]


async def test_a_corrected_name_is_kept_until_it_is_erased(pool: Any) -> None:
    await directory.write(pool, "u-1", "Ada Byron", 1)
    await directory.write(pool, "u-1", "Ada King", 2)
    await directory.write(pool, "u-1", "Ada Lovelace", 5)
    assert (await directory.stored_name(pool, "u-1")).all == ("Ada Lovelace", "Ada Byron", "Ada King")
    await directory.write(pool, "u-1", None, 6)
    await directory.write(pool, "u-1", "A. L.", 7)
    assert (await directory.stored_name(pool, "u-1")).all == ("A. L.",)


async def test_an_erased_name_is_none_and_a_name_never_given_is_missing(pool: Any) -> None:
    await directory.write(pool, "u-1", "Ada Lovelace", 1)
    await directory.write(pool, "u-2", "Grace Hopper", 1)
    await directory.write(pool, "u-2", None, 2)
    await directory.write(pool, "u-3", None, 1)
    assert await directory.names(pool, ["u-1", "u-2", "u-3", "u-4"]) == {"u-1": "Ada Lovelace", "u-2": None}


async def test_the_migration_copies_names_of_old_events_into_the_directory(
    database: Any, stack: Any, pool: Any
) -> None:
    for sql in (
        "ALTER TABLE log.events ALTER COLUMN tx SET DEFAULT pg_current_xact_id()",
        "DROP PROCEDURE log.begin_epoch",
        "DROP FUNCTION log.placed",
        "DROP TABLE log.epochs, log.stopped",
        "DROP SCHEMA messaging CASCADE",
        "DROP FUNCTION log.covers",
        "DROP PROCEDURE log.split_partition",
        "DROP SCHEMA directory CASCADE",
        "UPDATE log.migrations SET version_num = '0001'",
    ):
        await _as(database.owner_url, sql)
    for subject, name in (("ada", "Ada Lovelace"), ("bot", "")):
        stored = (
            f'{{"data":{{"kind":"person","name":"{name}","subject":"{subject}"}},"type":"IdentityCreated"}}'
        )
        row = (
            f"'access', 'access-{subject}', 1, gen_random_uuid(), 'IdentityCreated', 1,"
            f" convert_to('{stored}', 'UTF8')"
        )
        await _as(
            database.url("registry"),
            (
                f"INSERT INTO log.events_access (service, stream, revision, event_id, type,"
                f" schema, bytes) VALUES ({row})"
            ),
        )
    await migrate(database.owner_url, stack.database_passwords())
    assert [
        tuple(r)
        for r in await _as(
            database.url("approval"), "SELECT subject, name, revision FROM directory.names ORDER BY 1"
        )
    ] == [
        ("ada", "Ada Lovelace", 1),
        ("bot", None, 1),
    ]
    assert await directory.names(pool, ["ada", "bot"]) == {"ada": "Ada Lovelace"}
