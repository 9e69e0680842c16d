"""Migrate a database to this release: `python -m shared.migrate --url postgresql://owner@…/regista`.

The owner of the database runs it, never a service. It runs the migrations of the log
(shared/migrations/versions), then those of each service (services/<service>/migrations), and then, as the
owner again, their as_owner.sql: what the service's role must not own. The password of a service's role comes
from REGISTA_PASSWORD_<SERVICE>; without one the role cannot log in with a password. Each of these variables,
and REGISTA_OWNER_URL, may end with _FILE and name a file. Read models need no migration: a service rebuilds
its changed tables from the log at start.

It also gives owners and privileges to a dump that was restored without (`pg_restore --no-owner --no-acl`).

`--split registry=8` distributes a partition of the log over eight tables (ADR 0062). Stop the services first.
"""

from __future__ import annotations

import argparse
import asyncio
import os
from collections.abc import Mapping
from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from shared.foundation.sql_scripts import run_sql
from shared.foundation.topics import PARTITIONS_OF

DIRECTORY = {"registry": "SELECT, INSERT, UPDATE", "approval": "SELECT"}
"""Grants on the directory of names: one service writes it, one copies names into signed records. No other
reads it. Every service writes the days on which it saw keys in use."""

LIMITS = {
    "lock_timeout": ("60s", 0),
    "idle_in_transaction_session_timeout": ("60s", 0),
    "statement_timeout": ("15min", 0),
    "transaction_timeout": ("15min", 170_000),
}
"""Time limits of every service's role, each with the version of PostgreSQL that has it. A session can set
others: they stop a fault, not an attacker. The longest statements are those that verify and export the log
(10 min)."""

OWNED_AGAIN = """
-- A dump restored with --no-owner: what belonged to the service's role belongs to it again. The owner takes
-- back what the role must not own (as_owner.sql).
DO $$ DECLARE one regclass; BEGIN
    IF (SELECT relowner <> '{role}'::regrole FROM pg_class WHERE oid = to_regclass('{schema}.inbox')) THEN
        GRANT USAGE, CREATE ON SCHEMA {schema} TO {role};
        FOR one IN SELECT oid FROM pg_class
            WHERE relnamespace = '{schema}'::regnamespace AND relkind IN ('r', 'p', 'v', 'm') LOOP
            EXECUTE format('ALTER TABLE %s OWNER TO {role}', one);
        END LOOP;
        ALTER SCHEMA {schema} OWNER TO {role};
    END IF;
END $$
"""
PARTITIONS = frozenset(partition for partitions in PARTITIONS_OF.values() for partition in partitions)
MOST_PARTS = 64
MIGRATIONS = Path(__file__).parent / "migrations"
SERVICES = Path(__file__).parents[1] / "services"


def role_of(service: str) -> str:
    return f"regista_{service}"


def _upgrade(connection: Connection, passwords: Mapping[str, str], parts: Mapping[str, int]) -> None:
    connection.exec_driver_sql("SELECT pg_advisory_xact_lock(7242424242424242)")
    connection.exec_driver_sql("CREATE SCHEMA IF NOT EXISTS log")
    _run_migrations(connection, "log", MIGRATIONS / "versions")
    for service in PARTITIONS_OF:
        _login_role(connection, role_of(service), passwords.get(service))
        _limit(connection, role_of(service))
    for service, partitions in PARTITIONS_OF.items():
        for schema in sorted({service, *partitions}):
            connection.execute(text(OWNED_AGAIN.format(schema=schema, role=role_of(service))))
        _grant(connection, service, partitions)
    for service, folder in service_migrations().items():
        connection.exec_driver_sql(f"SET LOCAL ROLE {role_of(service)}")
        _run_migrations(connection, service, folder)
        connection.exec_driver_sql("RESET ROLE")
        if (as_owner := folder / "as_owner.sql").is_file():
            run_sql(connection, as_owner.read_text())
    for partition, number in parts.items():
        connection.execute(
            text("CALL log.split_partition(:partition, :number)"), {"partition": partition, "number": number}
        )


def service_migrations() -> dict[str, Path]:
    """Return the folder of migrations of each service that has one. No service is imported."""
    folders = {service: SERVICES / service / "migrations" for service in PARTITIONS_OF}
    return {service: folder for service, folder in folders.items() if folder.is_dir()}


def _run_migrations(connection: Connection, schema: str, folder: Path) -> None:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.set_main_option("version_locations", str(folder))
    config.set_main_option("path_separator", "os")
    config.attributes.update(connection=connection, schema=schema)
    command.upgrade(config, "head")


def _login_role(connection: Connection, role: str, password: str | None) -> None:
    """Create the role and set its password. Another database of the server may create the same role now."""
    connection.exec_driver_sql(
        f"DO $$ BEGIN CREATE ROLE {role} LOGIN;"
        " EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$",
    )
    if password is not None:
        quoted = password.replace("'", "''")
        connection.exec_driver_sql(f"ALTER ROLE {role} PASSWORD '{quoted}'".replace("%", "%%"))


def _limit(connection: Connection, role: str) -> None:
    """Set the role's time limits in this database, so that no fault keeps a lock or a transaction open."""
    version: int = connection.execute(text("SELECT current_setting('server_version_num')::int")).scalar_one()
    database = connection.execute(text("SELECT quote_ident(current_database())")).scalar_one()
    for setting, (limit, since) in LIMITS.items():
        if version >= since:
            connection.exec_driver_sql(f"ALTER ROLE {role} IN DATABASE {database} SET {setting} = '{limit}'")


def _grant(connection: Connection, service: str, partitions: tuple[str, ...]) -> None:
    role = role_of(service)
    connection.exec_driver_sql(
        "REVOKE ALL ON FUNCTION log.highest_tx(), log.covers(text[], text) FROM PUBLIC"
    )
    connection.exec_driver_sql(
        "REVOKE ALL ON PROCEDURE log.split_partition(text, integer), log.begin_epoch(text, jsonb) FROM PUBLIC"
    )
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA log TO {role}")
    connection.exec_driver_sql(
        f"GRANT EXECUTE ON FUNCTION log.highest_tx(), log.covers(text[], text) TO {role}"
    )
    for partition in partitions:
        connection.exec_driver_sql(f"CALL log.add_partition('{partition}', '{role}')")
    for schema in {service, *partitions}:
        connection.exec_driver_sql(f"CALL log.add_schema('{schema}', '{role}')")
    connection.exec_driver_sql(f"GRANT SELECT ON log.events_access, log.stopped, log.epochs TO {role}")
    connection.exec_driver_sql(
        f"GRANT INSERT (reason), UPDATE (reason, at), DELETE ON log.stopped TO {role}"
    )  # of its own row
    if not partitions:  # it appends nothing, and reads all
        connection.exec_driver_sql(f"GRANT SELECT ON log.events TO {role}")
    else:
        connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA messaging TO {role}")
        connection.exec_driver_sql(f"GRANT SELECT, INSERT, DELETE ON messaging.urgent TO {role}")
    connection.exec_driver_sql(f"GRANT USAGE ON SCHEMA directory TO {role}")
    connection.exec_driver_sql(
        f"GRANT SELECT, INSERT (key_id, day), UPDATE (day) ON directory.key_use TO {role}"
    )
    if service in DIRECTORY:
        connection.exec_driver_sql(f"GRANT {DIRECTORY[service]} ON directory.names TO {role}")


async def migrate(
    url: str, passwords: Mapping[str, str] | None = None, parts: Mapping[str, int] | None = None
) -> None:
    """Create or upgrade schemas, partitions, roles and grants in the database at `url`.

    Safe to repeat and to race.

    `passwords` are those of the services' roles. `parts` is the number of tables of a partition of the log; a
    partition that it does not name stays unchanged.
    """
    engine = create_async_engine(url.replace("postgresql://", "postgresql+asyncpg://", 1), poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.run_sync(_upgrade, passwords or {}, parts or {})
    finally:
        await engine.dispose()


def secret_of(variable: str, environment: Mapping[str, str] = os.environ) -> str | None:
    """Return the variable's value, or the content of the file that `<variable>_FILE` names."""
    if variable in environment or f"{variable}_FILE" not in environment:
        return environment.get(variable)
    return Path(environment[f"{variable}_FILE"]).read_text("utf-8").strip()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--url",
        default=secret_of("REGISTA_OWNER_URL"),
        help="the owner's database URL (or REGISTA_OWNER_URL, REGISTA_OWNER_URL_FILE)",
    )
    parser.add_argument(
        "--split",
        type=_parts,
        action="append",
        default=[],
        metavar="PARTITION=NUMBER",
        help="distribute this partition of the log over so many tables (1: one table again);"
        " the log is locked meanwhile",
    )
    chosen = parser.parse_args()
    url = chosen.url
    if not url:
        parser.error(
            "name the database: --url postgresql://owner@host/regista, or set REGISTA_OWNER_URL_FILE"
        )
    asyncio.run(
        migrate(
            url,
            {s: p for s in PARTITIONS_OF if (p := secret_of(f"REGISTA_PASSWORD_{s.upper()}"))},
            dict(chosen.split),
        )
    )


def _parts(text_: str) -> tuple[str, int]:
    partition, _, number = text_.partition("=")
    if partition not in PARTITIONS or not number.isdecimal() or not 1 <= int(number) <= MOST_PARTS:
        raise argparse.ArgumentTypeError(
            f"{text_!r}: write one of {', '.join(sorted(PARTITIONS))}, then = and 1 to {MOST_PARTS}"
        )
    return partition, int(number)


if __name__ == "__main__":
    main()
