"""One trace connects a request, its event, the message about it, and the span of the consumer."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaConsumer
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from regista.wire.cloudevents import from_kafka
from regista.wire.keys import SigningKey
from tests.integration.edges.conftest import People, Send, Toy, event

pytestmark = pytest.mark.servers
PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@dataclass
class Collector:
    """What an OTLP collector receives: trace id (hex) by span name."""

    url: str
    spans: dict[str, str]


@pytest.fixture
async def collector() -> AsyncIterator[Collector]:
    spans: dict[str, str] = {}

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        length = int(head.partition(b"content-length:")[2].split(b"\r\n")[0])
        request = ExportTraceServiceRequest.FromString(await reader.readexactly(length))
        for resource in request.resource_spans:
            spans.update(
                {span.name: span.trace_id.hex() for scope in resource.scope_spans for span in scope.spans}
            )
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    yield Collector(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", spans)
    server.close()


async def traces(database: Any, stream: str) -> list[str]:
    connection = await asyncpg.connect(database.url("registry"))
    try:
        rows = await connection.fetch(
            "SELECT bytes FROM log.events_registry WHERE stream = $1 ORDER BY revision", stream
        )
        return [msgspec.json.decode(row["bytes"])["trace"] for row in rows]
    finally:
        await connection.close()


async def test_a_trace_goes_from_request_and_message_into_events_and_out_again(
    start_toy: Callable[..., Toy],
    people: People,
    send: Send,
    publisher: SigningKey,
    collector: Collector,
    database: Any,
    empty_kafka: Any,
) -> None:
    key = await people.person("anna", ("engineer", "toys"))
    own = await people.signer("service:registry", "service")
    toy = start_toy(
        own, REGISTA_OTLP_ENDPOINT=collector.url, REGISTA_TRACE_SAMPLE="1", OTEL_BSP_SCHEDULE_DELAY="200"
    )
    await toy.ready()
    async with toy.client(key) as client:
        assert (await client.post("/v1/counters/b:count", json={"by": 1})).status_code == 200
    await send(replace(event("c"), extensions={"traceparent": PARENT}), publisher)

    async def all_there(_: Any) -> bool:
        return {"POST /v1/counters/{name}:count", "consume toy.Counted.v1"} <= collector.spans.keys() and len(
            await traces(database, "counter-c")
        ) == 1

    await toy.poll(all_there)
    assert collector.spans["consume toy.Counted.v1"] == PARENT[3:35]
    assert (await traces(database, "counter-c"))[0][3:35] == PARENT[3:35]
    assert (await traces(database, "counter-b"))[0][3:35] == collector.spans["POST /v1/counters/{name}:count"]
    assert (await published(empty_kafka, "counter-c"))[3:35] == PARENT[3:35]


async def test_an_unavailable_collector_stops_no_process_from_working_or_ending(
    start_toy: Callable[..., Toy], people: People, unused_tcp_port: int
) -> None:
    key = await people.person("anna", ("engineer", "toys"))
    toy = start_toy(
        TOY_KAFKA="0",
        REGISTA_OTLP_ENDPOINT=f"http://127.0.0.1:{unused_tcp_port}",
        REGISTA_TRACE_SAMPLE="1",
        OTEL_BSP_SCHEDULE_DELAY="200",
    )
    await toy.ready()
    async with toy.client(key) as client:
        assert (await client.post("/v1/counters/b:count", json={"by": 1})).status_code == 200
    assert await asyncio.to_thread(toy.end) == 0


async def published(stack: Any, subject: str) -> str:
    """The traceparent of the public message about `subject`."""
    consumer = AIOKafkaConsumer(
        "regista.registry.events.v1",
        bootstrap_servers=stack.kafka.bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="approval",
        sasl_plain_password=stack.kafka.password("approval"),
        auto_offset_reset="earliest",
    )
    await consumer.start()
    try:
        async with asyncio.timeout(20):
            async for record in consumer:
                found = from_kafka(record.value, record.headers)
                if found.subject == subject:
                    return found.extensions["traceparent"]
    finally:
        await asyncio.wait_for(consumer.stop(), 5)
    raise AssertionError("the topic ended")
