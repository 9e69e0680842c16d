"""While PostgreSQL or Kafka is unavailable, a process waits, loses nothing and resumes by itself."""

from __future__ import annotations

import asyncio
import contextlib
import re
import signal
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer

from regista.wire.cloudevents import to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey
from services.local.folders import InstanceFolder
from services.local.kafka import PORTS, Kafka
from tests.integration.edges.conftest import People, Send, Toy, counted, event, total
from tests.integration.edges.toy import TOPIC

pytestmark = [pytest.mark.servers, pytest.mark.slow]


class Gate:
    """A TCP port that leads to a server while it is open."""

    def __init__(self, host: str, port: int) -> None:
        self._target = (host, port)
        self._server: asyncio.Server | None = None
        self._pipes: set[asyncio.Task[None]] = set()
        self.port = 0

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", self.port)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Refuse new connections and end the open ones."""
        if self._server is not None:
            self._server.close()
        for pipe in self._pipes:
            pipe.cancel()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        there, back = await asyncio.open_connection(*self._target)
        for source, target in ((reader, back), (there, writer)):
            task = asyncio.create_task(self._pipe(source, target))
            self._pipes.add(task)
            task.add_done_callback(self._pipes.discard)

    async def _pipe(self, source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        try:
            while piece := await source.read(65536):
                target.write(piece)
                await target.drain()
        except OSError:
            pass
        finally:
            target.close()


@pytest.fixture
async def gate(database: Any) -> AsyncIterator[tuple[Gate, str]]:
    """A gate to PostgreSQL and the database URL that leads through it."""
    found = re.fullmatch(r"(.*@)([^:/]+):(\d+)(/.*)", database.url("registry"))
    assert found
    gate = Gate(found[2], int(found[3]))
    await gate.open()
    yield gate, f"{found[1]}127.0.0.1:{gate.port}{found[4]}"
    await gate.close()


async def reasons(toy: Toy, part: str) -> dict[str, str]:
    """Waits until `part` is among the reasons for not being ready."""

    async def answers(client: Any) -> Any:
        reported = (await client.get("/readyz")).json()["reasons"]
        return reported if part in reported else None

    return await toy.poll(answers, 40)


async def test_a_process_waits_at_start_for_each_server_that_is_unavailable(
    start_toy: Callable[..., Toy], gate: tuple[Gate, str], people: People, empty_kafka: Any
) -> None:
    key = await people.person("anna", ("engineer", "toys"))
    database, url = gate
    host, port = empty_kafka.kafka.bootstrap.split(":")
    kafka = Gate(host, int(port))
    await kafka.open()
    await asyncio.gather(database.close(), kafka.close())
    toy = start_toy(REGISTA_DATABASE_URL=url, REGISTA_KAFKA_BOOTSTRAP=f"127.0.0.1:{kafka.port}")
    try:
        assert "waits for it" in (await reasons(toy, "postgres"))["postgres"]
        async with toy.client(key) as client:
            assert (await client.get("/healthz")).status_code == 200
            early = await client.post("/v1/counters/a:count", json={"by": 1})
            assert (early.status_code, early.json()["code"], early.headers["retry-after"]) == (
                503,
                "starting",
                "2",
            )
            await database.open()
            assert "postgres" not in await reasons(toy, "kafka")
            assert (await client.post("/v1/counters/a:count", json={"by": 1})).status_code == 200
            await kafka.open()
            await toy.ready()
    finally:
        await kafka.close()


async def test_an_outage_of_the_database_loses_no_acknowledged_command(
    start_toy: Callable[..., Toy],
    gate: tuple[Gate, str],
    people: People,
    send: Send,
    publisher: SigningKey,
    operator: str,
    database: Any,
) -> None:
    key = await people.person("anna", ("engineer", "toys"))
    door, url = gate
    toy = start_toy(REGISTA_DATABASE_URL=url)
    await toy.ready()
    async with toy.client(key) as client:
        assert (await client.post("/v1/counters/b:count", json={"by": 1})).status_code == 200
        await door.close()
        request: dict[str, Any] = {"json": {"by": 2}, "headers": {"idempotency-key": "again"}}
        refused = await client.post("/v1/counters/b:count", **request)
        assert (refused.status_code, refused.json()["code"]) == (503, "unavailable")
        assert refused.headers["retry-after"]
        for _ in range(20):
            await send(event(), publisher)
        await reasons(toy, f"kafka {TOPIC}")
        assert (await client.get("/healthz")).status_code == 200
        await door.open()
        await toy.ready()
        assert (await client.post("/v1/counters/b:count", **request)).json()["total"] == 3
    await counted(toy, database, 20)
    assert await total(database, "counter-b") == 2
    async with toy.client(operator) as client:
        assert (await client.get("/v1/dlq")).json() == {"items": []}


@pytest.fixture
def own_kafka(tmp_path: Path) -> Iterator[Kafka]:
    """A broker of this test alone, to be killed."""
    folder = InstanceFolder(tmp_path / "kafka")
    kafka = Kafka(folder, publishers=("pipeline",))
    kafka.ports = folder.ports(list(PORTS))
    kafka.prepare()
    kafka.launch()
    kafka.await_ready()
    yield kafka
    assert kafka.child
    kafka.child.stop()


async def test_a_process_waits_for_a_killed_broker_and_then_drains_the_backlog(
    start_toy: Callable[..., Toy], own_kafka: Kafka, people: People, publisher: SigningKey, database: Any
) -> None:
    key = await people.person("anna", ("engineer", "toys"))
    toy = await on_broker(start_toy, own_kafka, people)
    await publish(own_kafka, publisher, 10)
    await counted(toy, database, 10)
    assert own_kafka.child
    own_kafka.child.popen.send_signal(signal.SIGKILL)
    own_kafka.child.popen.wait()
    async with toy.client(key) as client:
        assert (await client.post("/v1/counters/b:count", json={"by": 1})).status_code == 200
        reported = await reasons(toy, f"kafka broker, {TOPIC}")
        assert "does not answer" in reported[f"kafka broker, {TOPIC}"]
        assert (await client.get("/healthz")).status_code == 200
    own_kafka.launch()
    own_kafka.await_ready()
    await publish(own_kafka, publisher, 10)
    await counted(toy, database, 20)
    await toy.ready()

    async def published(client: Any) -> bool:
        return 'regista_relay_lag{service="registry"} 0.0' in (await client.get("/metrics")).text

    await toy.poll(published)
    assert await asyncio.to_thread(toy.end) == 0


async def test_a_broker_that_hangs_is_not_ready_and_named_and_its_backlog_drains_afterwards(
    start_toy: Callable[..., Toy], own_kafka: Kafka, people: People, publisher: SigningKey, database: Any
) -> None:
    operator = await people.person("otto", ("engineer", "*"))
    toy = await on_broker(start_toy, own_kafka, people)
    await publish(own_kafka, publisher, 5)
    await counted(toy, database, 5)
    assert own_kafka.child
    own_kafka.child.popen.send_signal(signal.SIGSTOP)
    try:
        reported = await reasons(toy, f"kafka broker, {TOPIC}")
        assert "does not answer" in reported[f"kafka broker, {TOPIC}"]
        async with toy.client(operator) as client:
            lags = [
                line
                for line in (await client.get("/metrics")).text.splitlines()
                if line.startswith("regista_consumer_lag{") and TOPIC in line
            ]
            assert lags
            assert all(line.endswith(" NaN") for line in lags)
            async with asyncio.timeout(20):
                answer = await client.get("/v1/dlq")
            assert (answer.status_code, answer.json()["code"]) == (503, "kafka_away")
    finally:
        own_kafka.child.popen.send_signal(signal.SIGCONT)
    await publish(own_kafka, publisher, 5)
    await counted(toy, database, 10)
    await toy.ready()
    assert toy.log
    lines = toy.log.read_text().splitlines()
    assert sum("Kafka is unavailable" in line for line in lines) <= 3
    assert await asyncio.to_thread(toy.end) == 0


async def on_broker(start_toy: Callable[..., Toy], kafka: Kafka, people: People) -> Toy:
    """Return the toy service, ready, on a broker of the test's own."""
    toy = start_toy(
        await people.signer("service:registry", "service"),
        REGISTA_KAFKA_BOOTSTRAP=kafka.bootstrap,
        REGISTA_KAFKA_PASSWORD=kafka.password("registry"),
    )
    await toy.ready()
    return toy


async def publish(kafka: Kafka, key: SigningKey, number: int) -> None:
    producer = AIOKafkaProducer(
        bootstrap_servers=kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="pipeline",
        sasl_plain_password=kafka.password("pipeline"),
    )
    await producer.start()
    try:
        for _ in range(number):
            name, value, headers = to_kafka(sign(event(), key))
            await producer.send_and_wait(TOPIC, value=value, key=name, headers=headers)
    finally:
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(producer.stop(), 5)
