"""An outage of PostgreSQL ends no process. A part that ends, ends its process."""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import asyncpg
import httpx
import pytest

from services.local.folders import InstanceFolder
from services.local.postgres import OWNER, Postgres
from shared.foundation import process_parts
from shared.foundation.process_parts import ProcessParts
from shared.foundation.settings import Settings
from shared.http.app import App
from shared.http.dispatch import Application
from shared.http.operations import OPERATIONS
from shared.migrate import migrate
from tests.integration.edges.conftest import People, Send, Toy, event

pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
async def own_postgres(tmp_path: Path) -> AsyncIterator[Postgres]:
    """A migrated server of this test alone, to be killed and reconfigured."""
    folder = InstanceFolder(tmp_path / "own")
    server = Postgres(folder, ports=folder.ports(["postgres"]))
    await asyncio.to_thread(server.prepare)
    server.launch()
    await asyncio.to_thread(server.await_ready)
    await migrate(server.url(OWNER, folder.secret("postgres-owner")), {"registry": "first"})
    yield server
    assert server.child
    await asyncio.to_thread(server.child.stop)


async def superuser(server: Postgres) -> asyncpg.Connection:
    return await asyncpg.connect(server.url("postgres", server.folder.secret("postgres-superuser")))


async def counting(toy: Toy, key: str, by: int = 1) -> int:
    """Count once and return the status."""
    async with toy.client(key) as client:
        return (await client.post("/v1/counters/a:count", json={"by": by})).status_code


def lines(toy: Toy) -> list[dict[str, Any]]:
    assert toy.log
    found = []
    for line in toy.log.read_text().splitlines():
        with contextlib.suppress(json.JSONDecodeError):
            found.append(json.loads(line))
    return found


async def start_on(server: Postgres, start_toy: Callable[..., Toy]) -> tuple[Toy, str]:
    url = server.url("regista_registry", "first")
    people = People(url)
    key = await people.person("anna", ("engineer", "toys"))
    toy = start_toy(
        await people.signer("service:registry", "service"), REGISTA_DATABASE_URL=url, TOY_KAFKA="0"
    )
    await toy.ready()
    assert await counting(toy, key) == 200
    return toy, key


async def unavailable(toy: Toy, key: str) -> None:
    async def refused() -> bool:
        return await counting(toy, key) == 503

    await toy.until(refused)


async def works_again(toy: Toy, key: str) -> None:
    async def accepted() -> bool:
        return await counting(toy, key) == 200

    await toy.until(accepted)
    await toy.ready()


async def test_a_server_killed_under_load_ends_no_process_and_writes_no_traceback(
    start_toy: Callable[..., Toy], own_postgres: Postgres
) -> None:
    toy, key = await start_on(own_postgres, start_toy)
    ending = asyncio.Event()

    async def load() -> set[int]:
        seen: set[int] = set()
        while not ending.is_set():
            with contextlib.suppress(httpx.TransportError):
                seen.add(await counting(toy, key))
        return seen

    loads = [asyncio.create_task(load()) for _ in range(8)]
    assert own_postgres.child
    for _ in range(2):
        own_postgres.child.popen.send_signal(signal.SIGKILL)
        await asyncio.to_thread(own_postgres.child.popen.wait)
        await unavailable(toy, key)
        own_postgres.launch()
        await asyncio.to_thread(own_postgres.await_ready)
        await works_again(toy, key)
    ending.set()
    assert set().union(*await asyncio.gather(*loads)) <= {200, 503}
    assert not [line for line in lines(toy) if "traceback" in line]
    about_postgres = [line for line in lines(toy) if "PostgreSQL is unavailable" in line["message"]]
    assert 1 <= len(about_postgres) <= 4
    assert await asyncio.to_thread(toy.end) == 0


async def test_a_password_that_is_rotated_late_is_waited_for(
    start_toy: Callable[..., Toy], own_postgres: Postgres
) -> None:
    toy, key = await start_on(own_postgres, start_toy)
    owner = await superuser(own_postgres)
    await owner.execute("ALTER ROLE regista_registry PASSWORD 'second'")
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'regista_registry'"
    )
    await unavailable(toy, key)
    assert toy.child
    assert toy.child.poll() is None
    await owner.execute("ALTER ROLE regista_registry PASSWORD 'first'")
    await works_again(toy, key)
    await owner.close()
    assert not [line for line in lines(toy) if "traceback" in line]


async def test_a_message_that_arrives_while_the_password_is_wrong_is_handled_afterwards(
    start_toy: Callable[..., Toy], own_postgres: Postgres, send: Send
) -> None:
    """Once a message that Kafka had acknowledged meanwhile was reported to have left no trace."""
    url = own_postgres.url("regista_registry", "first")
    people, owner = People(url), await superuser(own_postgres)
    signer = await people.signer("pipeline", "publisher", ("publisher", "toys"))
    operator = await people.person("otto", ("admin", "*"))
    toy = start_toy(await people.signer("service:registry", "service"), REGISTA_DATABASE_URL=url)
    await toy.ready()
    for _ in range(5):
        await send(event(), signer)
    await owner.execute("ALTER ROLE regista_registry PASSWORD 'second'")
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'regista_registry'"
    )
    for _ in range(15):
        await send(event(), signer)
    await unavailable(toy, operator)
    await owner.execute("ALTER ROLE regista_registry PASSWORD 'first'")
    await owner.close()
    await toy.ready()
    reader = await asyncpg.connect(url)

    async def handled() -> bool:
        found = "SELECT count(*) FROM log.events_registry WHERE stream = 'counter-a'"
        return int(await reader.fetchval(found)) == 20

    await toy.until(handled)
    await reader.close()
    async with toy.client(operator) as client:
        assert (await client.get("/v1/dlq")).json() == {"items": []}


async def test_a_connection_limit_that_is_reached_is_waited_for(
    start_toy: Callable[..., Toy], own_postgres: Postgres
) -> None:
    toy, key = await start_on(own_postgres, start_toy)
    owner = await superuser(own_postgres)
    await owner.execute("ALTER ROLE regista_registry CONNECTION LIMIT 0")
    await owner.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'regista_registry'"
    )
    await unavailable(toy, key)
    await owner.execute("ALTER ROLE regista_registry CONNECTION LIMIT -1")
    await works_again(toy, key)
    await owner.close()
    assert not [line for line in lines(toy) if "traceback" in line]


@pytest.mark.parametrize("ends", ["returns", "fails", "cancels itself"])
async def test_a_part_that_ends_ends_the_process_although_another_swallows_its_cancellation(
    monkeypatch: pytest.MonkeyPatch, ends: str
) -> None:
    given_up = asyncio.Event()
    loop = asyncio.get_running_loop()
    monkeypatch.setattr(process_parts, "ENDS_WITHIN", 0.3)
    monkeypatch.setattr(ProcessParts, "_give_up", lambda *_: loop.call_soon_threadsafe(given_up.set))
    app = App("registry", Settings(pepper="p"))
    parts = ProcessParts(app.readiness, asyncio.Event())

    async def ending() -> None:
        if ends == "fails":
            raise ZeroDivisionError
        if ends == "cancels itself":
            raise asyncio.CancelledError

    async def swallowing() -> None:
        while not given_up.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await given_up.wait()

    async def both() -> None:
        async with asyncio.TaskGroup() as group:
            parts.run(group, "swallowing", swallowing())
            parts.run(group, "ending", ending())

    task = asyncio.create_task(both())
    async with asyncio.timeout(10):
        await given_up.wait()
        transport = httpx.ASGITransport(Application(app, OPERATIONS))
        async with httpx.AsyncClient(transport=transport, base_url="http://here") as client:
            alive = await client.get("/healthz")
            assert (alive.status_code, alive.json()["ended"]) == (503, "ending")
            assert "its part ending ended" in (await client.get("/readyz")).json()["reasons"]["process"]
        await asyncio.wait({task})
    assert isinstance(task.exception(), BaseExceptionGroup)
