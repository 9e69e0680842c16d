"""After the demo, names of people are in the directory and on what they signed, and nowhere else."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterable, Iterator
from typing import Any

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer

from services.kafka.topics import SERVICES, TOPICS
from services.local.demo.people import PEOPLE
from services.local.stack import Stack

from .conftest import DemoRun

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(600)]

NAMES = tuple(person.name.encode() for person in PEOPLE.values())
SIGNED = {"directory.names", "log.events_approval ReviewApproved", "approval.review_entries"}

TABLES = """
SELECT n.nspname AS schema, c.relname AS name,
    has_schema_privilege(n.oid, 'USAGE') AND has_table_privilege(c.oid, 'SELECT') AS readable
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'm') AND n.nspname !~ '^(pg_|information_schema)'
"""


@pytest.fixture
def servers(demo: DemoRun) -> Iterator[Stack]:
    """The story's servers again, without its services."""
    stack = Stack(demo.folder)
    stack.start()
    yield stack
    stack.stop()


def _named(values: Iterable[Any]) -> bool:
    texts = [value if isinstance(value, bytes) else str(value).encode() for value in values]
    return any(name in text for name in NAMES for text in texts)


async def _rows(url: str, read: set[str], unread: set[str]) -> AsyncIterator[tuple[str, asyncpg.Record]]:
    """Yield each row that this role may read and that was not read yet."""
    connection = await asyncpg.connect(url)
    try:
        for table in await connection.fetch(TABLES):
            name = f"{table['schema']}.{table['name']}"
            if name in read:
                continue
            if not table["readable"]:
                unread.add(name)
                continue
            read.add(name)
            for row in await connection.fetch(f'SELECT * FROM "{table["schema"]}"."{table["name"]}"'):
                yield (
                    re.sub(r"_g\d+$", "", name)
                    + (f" {row['type']}" if table["schema"] == "log" and "type" in row else ""),
                    row,
                )
    finally:
        await connection.close()


async def _in_the_database(stack: Stack) -> set[str]:
    read, unread, found = set[str](), set[str](), set[str]()
    for url in (stack.owner_url(), *map(stack.database_url, SERVICES)):
        async for folder, row in _rows(url, read, unread):
            if _named(row.values()):
                found.add(folder)
    assert unread <= read
    assert {
        "log.events_registry",
        "log.events_access",
        "access.inbox",
        "approval.snapshots",
        "audit.sealed",
    } <= read
    return found


async def _on_kafka(stack: Stack) -> tuple[int, set[str]]:
    consumer = AIOKafkaConsumer(
        **stack.kafka.connection().aiokafka(),
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await consumer.start()
    count, found = 0, set[str]()
    try:
        consumer.subscribe(sorted(TOPICS))
        while not consumer.assignment():
            await consumer.getmany(timeout_ms=100)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(consumer.assignment())
        while any([await consumer.position(partition) < end for partition, end in ends.items()]):
            for partition, messages in (await consumer.getmany(timeout_ms=1_000)).items():
                count += len(messages)
                found |= {
                    partition.topic
                    for m in messages
                    if _named([m.key or b"", m.value or b"", *(value for _, value in m.headers)])
                }
    finally:
        await asyncio.wait_for(consumer.stop(), 10)
    return count, found


async def test_names_are_stored_only_in_the_directory_and_the_signature_records(
    servers: Stack,
) -> None:
    assert await _in_the_database(servers) == SIGNED


async def test_no_name_is_in_a_message(servers: Stack) -> None:
    count, found = await _on_kafka(servers)
    assert count > 50
    assert found == set()


def test_no_name_is_in_a_log_file(demo: DemoRun) -> None:
    files = [file for file in demo.folder.subfolder("logs").iterdir() if file.suffix == ".log"]
    assert {"registry.log", "approval.log", "audit.log"} <= {file.name for file in files}
    assert [file.name for file in files if _named([file.read_bytes()])] == []
