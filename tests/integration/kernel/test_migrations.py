"""One mechanism brings the log's schema and those of the services up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import asyncpg
import pytest

from shared import migrate as migrations
from shared.migrate import migrate

pytestmark = pytest.mark.servers


def newest(folder: Path) -> str:
    return max(path.name for path in folder.glob("*.py")).partition("_")[0]


async def test_the_log_and_each_service_have_a_version_table_of_their_own(database: Any) -> None:
    folders = {"log": migrations.MIGRATIONS / "versions", **migrations.service_migrations()}
    assert "audit" in folders
    owner = await asyncpg.connect(database.owner_url)
    versions = {
        schema: await owner.fetchval(f"SELECT version_num FROM {schema}.migrations") for schema in folders
    }
    await owner.close()
    assert versions == {schema: newest(folder) for schema, folder in folders.items()}


SEALS = {"sealed", "checkpoints", "tree", "chunks"}
SEALS_OWNER = """
DO $$ BEGIN
    EXECUTE format('ALTER SCHEMA audit OWNER TO %1$I; ALTER TABLE audit.sealed OWNER TO %1$I;'
        ' ALTER TABLE audit.checkpoints OWNER TO %1$I; ALTER TABLE audit.tree OWNER TO %1$I;'
        ' ALTER TABLE audit.chunks OWNER TO %1$I; ALTER FUNCTION audit.refuse() OWNER TO %1$I;'
        ' ALTER FUNCTION audit.fill_once() OWNER TO %1$I; ALTER FUNCTION audit.only_grows() OWNER TO %1$I',
        'regista_audit');
END $$
"""


async def test_a_services_migrations_belong_to_its_role_and_the_seals_to_the_owner(
    database: Any,
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    tables = await owner.fetch("SELECT tablename, tableowner FROM pg_tables WHERE schemaname = 'audit'")
    me = await owner.fetchval("SELECT current_user")
    functions = await owner.fetch(
        "SELECT DISTINCT proowner::regrole::text FROM pg_proc WHERE pronamespace = 'audit'::regnamespace"
    )
    schema = "SELECT nspowner::regrole::text FROM pg_namespace WHERE nspname = 'audit'"
    assert await owner.fetchval(schema) == me
    await owner.close()
    assert {name for name, _ in tables} > SEALS
    assert dict(tables) == {name: me if name in SEALS else "regista_audit" for name, _ in tables}
    assert [row[0] for row in functions] == [me]


async def test_a_schema_that_the_service_once_created_at_start_keeps_what_is_sealed(
    stack: Any, database: Any
) -> None:
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("DROP TABLE audit.migrations")
    await owner.execute(SEALS_OWNER)  # as they were when the service created them
    origin = await owner.fetchval("SELECT origin FROM audit.tree")
    await owner.execute(
        "INSERT INTO audit.sealed VALUES (0, 1, 'registry', 's-1', 1, gen_random_uuid(), sha256('a'))"
    )
    await migrate(database.owner_url, stack.database_passwords())
    assert await owner.fetchval("SELECT count(*) FROM audit.sealed") == 1
    assert await owner.fetchval("SELECT origin FROM audit.tree") == origin
    assert await owner.fetchval("SELECT version_num FROM audit.migrations") == newest(
        migrations.service_migrations()["audit"]
    )
    await owner.close()


@pytest.mark.parametrize("newer", [(), ("regista_audit",)])
async def test_a_stop_from_before_stops_had_owners_is_audits_to_take_back(
    database: Any, newer: tuple[str, ...]
) -> None:
    """A newer stop of audit's own is kept, and another service's stays that service's."""
    owner = await asyncpg.connect(database.owner_url)
    await owner.execute("INSERT INTO log.stopped (reason) VALUES ('restored')")  # as migration 0008 left it
    for part in (*newer, "regista_registry"):
        await owner.execute("INSERT INTO log.stopped (reason, part) VALUES ('behind', $1)", part)
    await owner.execute("UPDATE log.migrations SET version_num = '0009'")
    await migrate(database.owner_url)
    stops = dict(await owner.fetch("SELECT part, reason FROM log.stopped"))
    await owner.execute("DELETE FROM log.stopped")
    await owner.close()
    assert stops == {"regista_audit": "behind" if newer else "restored", "regista_registry": "behind"}


async def test_migrations_that_ran_do_not_run_again(
    database: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "cleanup" / "migrations"
    folder.mkdir(parents=True)
    (folder / "0001_things.py").write_text(
        "from shared.migrations import run_sql_beside\n"
        'revision, down_revision = "0001", None\n'
        "def upgrade():\n    run_sql_beside(__file__)\n"
    )
    (folder / "0001_things.sql").write_text(
        "CREATE TABLE cleanup.things (n int); INSERT INTO cleanup.things VALUES (1);"
    )
    monkeypatch.setattr(migrations, "SERVICES", tmp_path)
    await migrate(database.owner_url)
    await migrate(database.owner_url)
    service = await asyncpg.connect(database.url("cleanup"))
    assert await service.fetchval("SELECT count(*) FROM cleanup.things") == 1
    await service.close()
