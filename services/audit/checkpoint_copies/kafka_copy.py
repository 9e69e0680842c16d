"""Keep a copy of the log checkpoints in a Kafka topic that only audit writes."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections.abc import AsyncIterator, Sequence

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaError

from regista.wire.checkpoint import Checkpoint
from services.audit.checkpoint_copies.copies import CopyUnavailable
from shared.foundation.settings import Settings
from shared.foundation.topics import CHECKPOINTS
from shared.messaging.kafka import connection, start_producer, stop_client

PAGE = 200
"""Messages of one step back from the end of the topic."""
ANSWER_WITHIN = 15.0

PARTITION = TopicPartition(CHECKPOINTS, 0)
"""All log checkpoints are in one partition, in the order in which they were signed."""


class KafkaCopy:
    """Reads the topic from its end and appends to it."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._consumer: AIOKafkaConsumer | None = None
        self._read: tuple[str, int, Sequence[str]] | None = None

    @property
    def name(self) -> str:
        return f"Kafka topic {CHECKPOINTS}"

    async def newest(self, origin: str) -> Sequence[str]:
        """Read back until a note of the log is found; nothing is read while the topic has not grown."""
        async with self._available():
            consumer = await self._started()
            end = (await consumer.end_offsets([PARTITION]))[PARTITION]
            if self._read and self._read[:2] == (origin, end):
                return self._read[2]
            start = (await consumer.beginning_offsets([PARTITION]))[PARTITION]
            notes, high = list[str](), end
            while high > start and not any(note.startswith(f"{origin}\n") for note in notes):
                low = max(start, high - PAGE)
                notes = [*(await _messages(consumer, low, high)), *notes]
                high = low
            found = _newest_of_each_log(notes)
            self._read = (origin, end, found)
            return found

    async def add(self, checkpoint: Checkpoint, note: str) -> str:
        async with self._available():
            if self._producer is None:
                self._producer = await start_producer(self._settings)
            key = hashlib.sha256(checkpoint.origin.encode()).hexdigest()[:16].encode()
            stored = await self._producer.send_and_wait(
                CHECKPOINTS, note.encode(), key=key, partition=PARTITION.partition
            )
            before = self._read
            grew_by_this = before is not None and before[:2] == (checkpoint.origin, stored.offset)
            self._read = (checkpoint.origin, stored.offset + 1, [note]) if grew_by_this else None
            return note

    async def _started(self) -> AIOKafkaConsumer:
        if self._consumer is None:
            consumer = AIOKafkaConsumer(
                **connection(self._settings), enable_auto_commit=False, isolation_level="read_committed"
            )
            try:
                await consumer.start()
            except BaseException:
                await stop_client(consumer)
                raise
            consumer.assign([PARTITION])
            self._consumer = consumer
        return self._consumer

    @contextlib.asynccontextmanager
    async def _available(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(ANSWER_WITHIN):
                yield
        except (KafkaError, TimeoutError, OSError) as error:
            await self.close()
            raise CopyUnavailable(f"{self.name}: {type(error).__name__}") from error

    async def close(self) -> None:
        clients = [client for client in (self._consumer, self._producer) if client is not None]
        self._consumer = self._producer = self._read = None
        for client in clients:
            await stop_client(client)


async def _messages(consumer: AIOKafkaConsumer, low: int, high: int) -> list[str]:
    """Return the texts of the messages from offset `low` to `high - 1`."""
    consumer.seek(PARTITION, low)
    found = list[str]()
    while await consumer.position(PARTITION) < high:
        for records in (await consumer.getmany(PARTITION, timeout_ms=1_000)).values():
            found += [(r.value or b"").decode(errors="replace") for r in records if r.offset < high]
    return found


def _newest_of_each_log(notes: Sequence[str]) -> list[str]:
    return list({note.partition("\n")[0]: note for note in notes}.values())
