"""The host of a peer vanishes: no packet is refused and none is answered."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaConsumer

from shared.foundation.event_loop import IDLE, INTERVAL, PROBES, UNANSWERED, Loop
from shared.foundation.postgres import WakeUp, connect_pool, leadership
from shared.foundation.settings import Settings
from shared.messaging.kafka import connection, start_producer, stop_client

pytestmark = pytest.mark.servers


def _may_make_hosts() -> bool:
    tools = all(shutil.which(tool) for tool in ("unshare", "nsenter", "ip", "sysctl"))
    return (
        tools
        and subprocess.run(
            ["unshare", "-n", "ip", "link", "add", "v0", "type", "veth", "peer", "name", "v1"],
            check=False,
            capture_output=True,
        ).returncode
        == 0
    )


@pytest.fixture
def own_folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    folder = tmp_path_factory.mktemp("vanishing")
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.slow
@pytest.mark.skipif(not _may_make_hosts(), reason="network namespaces may not be made here")
def test_client_and_server_both_detect_that_the_other_host_vanished(own_folder: Path) -> None:
    argv = ["unshare", "-n", sys.executable, "-m", "tests.integration.kernel.vanishing", str(own_folder)]
    result = subprocess.run(argv, check=False, capture_output=True, text=True, timeout=200)
    assert result.returncode == 0, result.stderr[-6000:]
    assert json.loads(result.stdout) == {
        "connections": 4,
        "queried": "ConnectionDoesNotExistError",
        "waited for": True,
        "ran into our own limit": False,
        "idle": "ended",
        "leader": "ended",
        "backends left": 0,
    }


class Listening(Loop):
    """A loop that keeps the transports that it opened."""

    def __init__(self) -> None:
        super().__init__()
        self.sockets: list[tuple[int, dict[str, int]]] = []

    async def create_connection(self, protocol_factory: Any, *address: Any, **options: Any) -> Any:
        transport, protocol = await super().create_connection(protocol_factory, *address, **options)
        opened = transport.get_extra_info("socket")
        found = {
            name: opened.getsockopt(socket.IPPROTO_TCP, getattr(socket, f"TCP_{name}"))
            for name in ("KEEPIDLE", "KEEPINTVL", "KEEPCNT", "USER_TIMEOUT")
        }
        found["KEEPALIVE"] = opened.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        self.sockets.append((opened.getpeername()[1], found))
        return transport, protocol


async def _open_everything(url: str, settings: Settings) -> None:
    pool, wake_up = await connect_pool(url, schemas=("public",)), WakeUp(url, "options")
    ringing = asyncio.create_task(wake_up.run())
    async with leadership(url, "options"), pool.acquire() as one:
        while not await one.fetchval(  # noqa: ASYNC110
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND query LIKE 'LISTEN%'"
        ):
            await asyncio.sleep(0.02)
    producer = await start_producer(settings)
    consumer = AIOKafkaConsumer(
        "regista.training.v1", group_id="cleanup.regista.usage.v1", **connection(settings)
    )
    with contextlib.suppress(Exception):
        await consumer.start()
    for client in (producer, consumer):
        await stop_client(client)
    ringing.cancel()
    await asyncio.gather(ringing, return_exceptions=True)
    await pool.close()


def test_every_connection_to_postgresql_and_kafka_probes_its_peer(stack: Any, database: Any) -> None:
    environment = stack.service_environment("cleanup", database.name)
    with asyncio.Runner(loop_factory=Listening) as runner:
        loop = runner.get_loop()
        runner.run(_open_everything(database.url("cleanup"), Settings.from_environment(environment)))
        assert isinstance(loop, Listening)
    ports = [port for port, _ in loop.sockets]
    assert ports.count(stack.postgres.ports["postgres"]) == 3, "pool, leader, wake_up"
    assert len(ports) >= 5, "and Kafka's"
    wanted = {
        "KEEPALIVE": 1,
        "KEEPIDLE": IDLE,
        "KEEPINTVL": INTERVAL,
        "KEEPCNT": PROBES,
        "USER_TIMEOUT": UNANSWERED,
    }
    assert [options for _, options in loop.sockets] == [wanted] * len(ports)
