"""The faults of a chaos run, in random order. Each returns when the fault is over, not when all is well."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import shutil
import sys
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import asyncpg

from services.kafka.topics import SERVICES
from services.local.folders import REPOSITORY
from tests.chaos.fleet import Fleet

BACKENDS = """
SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
WHERE datname = 'regista' AND pid <> pg_backend_pid() AND ($1 OR random() < 0.3)
"""


SMALL = 8 * 1024**3
"""Bytes of a disk that a run may fill: REGISTA_HOME is a mount of its own."""


def _fill(file: Path) -> None:
    with file.open("wb", buffering=0) as open_file, contextlib.suppress(OSError):
        while open_file.write(bytes(1024 * 1024)):
            pass


@dataclass(slots=True)
class Faults:
    """Runs one fault after the other on a fleet. The same seed gives the same order.

    `only` are the names of the faults to choose from; empty for all.
    """

    fleet: Fleet
    random: random.Random
    only: frozenset[str] = frozenset()

    def order(self) -> Sequence[Callable[[], Awaitable[str]]]:
        """Return one round: every fault, kills of services more often, in random order."""
        once: list[Callable[[], Awaitable[str]]] = [
            self.pause_service,
            self.pause_service,
            self.terminate_some,
            self.terminate_all,
            self.kill_postgres,
            self.kill_kafka,
            self.pause_kafka,
            self.kill_store,
            self.wrong_password,
            self.kill_rebuild,
            *[self.kill_service] * 5,
        ]
        if shutil.disk_usage(self.fleet.instance.folder.directory).total < SMALL:
            once += [self.fill_disk] * 2
        once = [fault for fault in once if not self.only or fault.__name__ in self.only]
        self.random.shuffle(once)
        return once

    async def kill_service(self) -> str:
        """Kill one replica; it is started again."""
        name = self.random.choice(self.fleet.replicas).name
        self.fleet.kill(name)
        return f"killed {name}"

    async def pause_service(self) -> str:
        """Stop a replica for some seconds, also longer than its lease and its session in Kafka."""
        name, seconds = self.random.choice(self.fleet.replicas).name, self.random.choice([2.0, 6.0, 18.0])
        with self.fleet.paused(name):
            await asyncio.sleep(seconds)
        return f"paused {name} for {seconds:g} s"

    async def terminate_some(self) -> str:
        return f"terminated {await self._terminate(everyone=False)} connections of PostgreSQL"

    async def terminate_all(self) -> str:
        return f"terminated {await self._terminate(everyone=True)} connections of PostgreSQL"

    async def _terminate(self, *, everyone: bool) -> int:
        with contextlib.suppress(OSError, asyncpg.PostgresError):
            connection = await asyncpg.connect(self.fleet.instance.stack.postgres.superuser_url())
            try:
                return int(await connection.fetchval(BACKENDS, everyone))
            finally:
                await connection.close()
        return 0

    async def kill_postgres(self) -> str:
        self.fleet.kill("postgres")
        return "killed postgres"

    async def kill_kafka(self) -> str:
        self.fleet.kill("kafka")
        return "killed kafka"

    async def pause_kafka(self) -> str:
        """Let Kafka hang: it accepts connections and answers nothing."""
        seconds = self.random.choice([5.0, 20.0])
        with self.fleet.paused("kafka"):
            await asyncio.sleep(seconds)
        return f"paused kafka for {seconds:g} s"

    async def kill_store(self) -> str:
        self.fleet.kill("s3")
        return "killed the object store"

    async def fill_disk(self) -> str:
        """Leave no room for some seconds: all servers are on this disk. Only on a small one of its own."""
        file = self.fleet.instance.folder.directory / "filled"
        seconds = self.random.choice([5.0, 15.0])
        try:
            await asyncio.to_thread(_fill, file)
            await asyncio.sleep(seconds)
        finally:
            file.unlink(missing_ok=True)
        return f"the disk was full for {seconds:g} s"

    async def wrong_password(self) -> str:
        """Change the password of a service's role for some seconds, and end its connections."""
        service = self.random.choice(SERVICES)
        right = self.fleet.instance.folder.secret(f"postgres-{service}")
        seconds = self.random.choice([3.0, 12.0])
        try:
            await self._set_password(service, "another")
            await asyncio.sleep(seconds)
        finally:
            await self._set_password(service, right)
        return f"{service} had the wrong database password for {seconds:g} s"

    async def _set_password(self, service: str, password: str) -> None:
        role = f"regista_{service}"
        while True:
            with contextlib.suppress(OSError, asyncpg.PostgresError):
                connection = await asyncpg.connect(self.fleet.instance.stack.postgres.superuser_url())
                try:
                    await connection.execute(f"ALTER ROLE {role} PASSWORD '{password}'")
                    await connection.execute(
                        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = $1", role
                    )
                    return
                finally:
                    await connection.close()
            await asyncio.sleep(0.3)

    async def kill_rebuild(self) -> str:
        """Begin to rebuild all read models, and kill that somewhere in the middle."""
        stack = self.fleet.instance.stack
        services = [name for name in SERVICES if name != "audit"]
        urls = {name: stack.database_url(name) for name in services}
        rebuild = await asyncio.create_subprocess_exec(
            *[sys.executable, "-m", "services.local.rebuild", *services],
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
            cwd=REPOSITORY,
        )
        running = asyncio.ensure_future(rebuild.communicate(json.dumps(urls).encode()))
        await asyncio.sleep(self.random.uniform(1.0, 4.0))
        with contextlib.suppress(ProcessLookupError):
            rebuild.kill()
        await running
        return "killed a rebuild"
