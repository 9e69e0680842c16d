"""Real servers for tests: started once per session (as containers if Docker answers), or kept ones."""

from __future__ import annotations

import asyncio
import fcntl
import gc
import os
import re
import secrets
import shutil
import uuid
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import pytest

from services.kafka.topics import SERVICES, TOPICS
from services.local import kafka_access, lifecycle
from services.local.azurite import PORTS as AZURITE_PORTS
from services.local.azurite import Azurite
from services.local.folders import InstanceFolder, LocalError, home
from services.local.processes import ProcessIdentity
from services.local.stack import Stack
from shared.migrate import migrate
from tests import containers
from tests.workers import InGroups


def pytest_collection_finish() -> None:
    """Keep what was imported and collected out of garbage collections, which cost a tenth of the run."""
    gc.collect()
    gc.freeze()


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config: pytest.Config) -> None:
    """Seed every random test with one number, which a failed run prints."""
    if config.getoption("hypothesis_seed", None) is None:
        config.option.hypothesis_seed = str(secrets.randbelow(2**32))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> InGroups:
    """Give each worker whole groups of tests."""
    return InGroups(config, log)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print the seed, also with -q: the same one repeats what random tests drew."""
    terminalreporter.write_line(f"random tests: --hypothesis-seed={config.option.hypothesis_seed}")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """A test that uses the servers, however indirectly, carries the marker `servers`."""
    for item in items:
        if {"stack", "azurite"} & {*getattr(item, "fixturenames", ())}:
            item.add_marker(pytest.mark.servers)


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """PostgreSQL, Kafka and S3, running."""
    shared = os.environ.get("REGISTA_TEST_STACK")
    if shared:
        yield Stack.attach(Path(shared))
        return
    _sweep_old_instances()
    own = Stack(InstanceFolder.named(f"test-{os.getpid()}"))
    with containers.running(own) if containers.docker_answers() else _running(own):
        yield own
    shutil.rmtree(own.folder.directory, ignore_errors=True)


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azure Blob Storage, running: fetched when the first test needs it."""
    folder = InstanceFolder.named(f"test-{os.getpid()}-azurite")
    own = Azurite(folder, folder.ports(AZURITE_PORTS))
    try:
        own.prepare()
    except LocalError as missing:
        pytest.skip(f"Azurite cannot be fetched: {missing}")
    child = own.launch()
    try:
        own.await_ready()
        yield own
    finally:
        child.stop()
    shutil.rmtree(folder.directory, ignore_errors=True)


@contextmanager
def _running(own: Stack) -> Iterator[None]:
    own.start()
    try:
        yield
    finally:
        own.stop()


def _sweep_old_instances() -> None:
    """What killed sessions left: supervisors outlive them, so they end before their folders go."""
    for folder in home().glob("test-*"):
        session = re.fullmatch(r"test-(\d+)(-.*)?", folder.name, re.ASCII)
        if session and not ProcessIdentity.of("session", int(session[1])).alive():
            lifecycle.stop(InstanceFolder(folder))
            shutil.rmtree(folder, ignore_errors=True)


def _aside(work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
    """Run a coroutine to its end in a thread, outside the test's own event loop."""
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


async def _execute(url: str, *statements: str) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


async def drop_database(url: str, name: str) -> None:
    """Drop a database with its connections, if it exists. `url` is of another database, for its owner.

    The server's autovacuum may be connected; no owner can end it, and it ends by itself.
    """
    for attempt in range(20):
        try:
            await _execute(url, f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        except asyncpg.InsufficientPrivilegeError:
            if attempt == 19:
                raise
            await asyncio.sleep(0.5)
        else:
            return


@dataclass(frozen=True, slots=True)
class Database:
    """A migrated database of one test. The roles are the server's; the passwords those of the stack."""

    stack: Stack
    name: str

    @property
    def owner_url(self) -> str:
        return self.stack.owner_url(self.name)

    def url(self, service: str) -> str:
        """As that service's own role."""
        return self.stack.database_url(service, self.name)

    @property
    def urls(self) -> dict[str, str]:
        return {service: self.url(service) for service in SERVICES}


@pytest.fixture(scope="session")
def migrated_template(stack: Stack) -> Iterator[str]:
    """A migrated, empty database that each test's own is copied from."""
    name = f"template_{uuid.uuid4().hex[:12]}"
    _aside(lambda: _execute(stack.owner_url(), f"CREATE DATABASE {name}"))
    _aside(lambda: migrate(stack.owner_url(name), stack.database_passwords()))
    yield name
    _aside(lambda: drop_database(stack.owner_url(), name))


@pytest.fixture
def database(stack: Stack, migrated_template: str) -> Iterator[Database]:
    """A fresh migrated database (about 50 ms), dropped afterwards with all its connections.

    Its log has an origin of its own: the template's would be that of every test's log.
    """
    name = f"test_{uuid.uuid4().hex[:12]}"
    _aside(lambda: _execute(stack.owner_url(), f"CREATE DATABASE {name} TEMPLATE {migrated_template}"))
    origin = f"UPDATE audit.tree SET origin = 'regista.log/{uuid.uuid4().hex}'"
    _aside(lambda: _execute(stack.owner_url(name), origin))
    yield Database(stack, name)
    _aside(lambda: drop_database(stack.owner_url(), name))


@pytest.fixture
def new_topic(stack: Stack) -> Iterator[Callable[..., str]]:
    """Create topics that only the super user (`kafka_admin`) reaches; delete them afterwards."""
    admin, made = stack.kafka.admin(), list[str]()

    def make(name: str = "topic", partitions: int = 1) -> str:
        topic = f"test.{uuid.uuid4().hex[:8]}.{name}"
        kafka_access.make_topics(admin, {topic: {}}, partitions)
        made.append(topic)
        return topic

    yield make
    if made:
        kafka_access.delete_topics(admin, made)


@pytest.fixture
def empty_kafka(stack: Stack) -> Iterator[Stack]:
    """The services' own topics, empty, and no consumer groups: for tests that run services.

    On a shared stack they take turns.
    """
    with (stack.folder.directory / "kafka.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        kafka_access.empty_topics(stack.kafka.admin(), TOPICS)
        yield stack
