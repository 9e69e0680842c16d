"""Read what the checker compares: the log as it grows and at the end, dead letters, stored objects."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field

import asyncpg
from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import AdminClient  # type: ignore[attr-defined]
from minio import Minio
from minio.error import S3Error

from tests.chaos.checker import Event, Position, dead_letter_id, event_of

ALL = "SELECT service, stream, revision, tx::text AS tx, seq, bytes FROM log.events e ORDER BY e.tx, e.seq"
HEAD = """
SELECT e.tx::text::bigint AS at_tx, e.seq FROM log.events e
WHERE e.service = $1 ORDER BY e.tx DESC, e.seq DESC LIMIT 1
"""
UNAVAILABLE = (
    OSError,
    asyncpg.PostgresError,
    asyncpg.InterfaceError,
    asyncpg.InternalClientError,  # the server was killed while it answered
)
FOLLOWING = """
SELECT e.tx::text::bigint AS at_tx, e.seq FROM log.events e
WHERE e.service = $1 AND (e.tx, e.seq) > ($2::text::xid8, $3)
    AND e.tx < pg_snapshot_xmin(pg_current_snapshot())
ORDER BY e.tx, e.seq LIMIT 1000
"""


@dataclass(slots=True)
class Reader:
    """Follows one partition of the log by a cursor, as the readers of the services do."""

    url: str
    partition: str
    seen: list[Position] = field(default_factory=list)
    read_more: asyncio.Event = field(default_factory=asyncio.Event)

    async def run(self) -> None:
        """Read until it is cancelled. It waits while the database is unavailable."""
        while True:
            with contextlib.suppress(*UNAVAILABLE):
                connection = await asyncpg.connect(self.url, timeout=5, command_timeout=10)
                try:
                    while True:
                        await self._read(connection)
                        await asyncio.sleep(0.02)
                finally:
                    connection.terminate()
            await asyncio.sleep(0.2)

    async def _read(self, connection: asyncpg.Connection) -> None:
        tx, seq = self.seen[-1] if self.seen else (0, 0)
        rows = await connection.fetch(FOLLOWING, self.partition, str(tx), seq)
        self.seen += [(row["at_tx"], row["seq"]) for row in rows]
        self.read_more.set()

    async def catches_up(self) -> None:
        """Read until it has seen what is in its partition now. Raises TimeoutError when it does not."""
        connection = await asyncpg.connect(self.url)
        head = await connection.fetchrow(HEAD, self.partition)
        await connection.close()
        async with asyncio.timeout(30):
            while head and self.seen[-1:] < [(head["at_tx"], head["seq"])]:
                self.read_more.clear()
                await self.read_more.wait()


async def whole_log(url: str) -> list[Event]:
    """Return every event in the order of the log."""
    connection = await asyncpg.connect(url)
    try:
        return [event_of(row) for row in await connection.fetch(ALL)]
    finally:
        await connection.close()


async def dead_letters(options: dict[str, object], topics: list[str]) -> set[str]:
    """Return the ids of all messages on the dead-letter topics."""
    consumer = AIOKafkaConsumer(*topics, **options, auto_offset_reset="earliest", enable_auto_commit=False)
    await consumer.start()
    try:
        found: set[str] = set()
        ends = await consumer.end_offsets(consumer.assignment())
        async with asyncio.timeout(60):
            while any([await consumer.position(partition) < end for partition, end in ends.items()]):
                for records in (await consumer.getmany(timeout_ms=300)).values():
                    found |= {dead_letter_id(record.headers) for record in records}
        return found
    finally:
        await consumer.stop()


def object_reader(client: Minio) -> Callable[[str], bytes | None]:
    """Return a function that reads the object of a URI `s3://bucket/key`."""

    def read(uri: str) -> bytes | None:
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            response = client.get_object(bucket, key)
        except S3Error as error:
            if error.code == "NoSuchKey":
                return None
            raise
        try:
            return bytes(response.read())
        finally:
            response.close()
            response.release_conn()

    return read


def members(admin: AdminClient, groups: list[str]) -> dict[str, int]:
    """Return the number of members of each consumer group."""
    described = admin.describe_consumer_groups(groups, request_timeout=10)
    return {name: len(one.result(15).members) for name, one in described.items()}
