"""Keep, list, show and replay dead letters: messages that can never be accepted as they are.

They stand in `<topic>.dlq` with the reason, and nowhere else. Headers, key and value stay unchanged; the
added headers start with `regista-`. A replay sends the original to its topic again and writes a marker beside
the dead letter, so that the list shows which are open.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from prometheus_client import Counter

from shared.foundation.settings import Settings
from shared.foundation.topics import dlq_of, source_of
from shared.messaging.kafka import Record, answer_in_time, connection, start_producer, stop_client

log = logging.getLogger(__name__)

SENT = Counter("regista_dead_letters", "Messages written to a dead-letter topic", ["topic", "group"])
OWN = "regista-"
_POSITION = re.compile(r"\d{1,9}~\d{1,18}", re.ASCII)
Headers = Sequence[tuple[str, bytes]]
T = TypeVar("T")
MOST_OF_KEY, MOST_OF_HEADERS = 8 * 1024, 64 * 1024
"""Bytes of key and of headers that are kept of a message too large to be kept whole."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it is listed. `id` is `<dead-letter topic>~<partition>~<offset>`."""

    id: str
    topic: str
    partition: int
    offset: int
    reason: str
    group: str
    at: datetime
    size: int
    key: str = ""
    type: str = ""
    subject: str = ""
    replayed: bool = False
    replayed_by: str = ""


@dataclass(frozen=True, slots=True)
class DeadLetterDetail:
    """A dead letter with headers and value. `encoding` is `text`, or `base64` for other than UTF-8."""

    letter: DeadLetter
    headers: dict[str, str]
    value: str
    encoding: str


class DeadLetters:
    """The dead letters of the topics that this process reads, and of its own topics.

    The first dead letter opens the producer.
    """

    PER_PARTITION = 1_000

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self.topics = tuple(dict.fromkeys(topics))
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()

    async def add(self, record: Record, reason: str, group: str) -> None:
        """Write the record to its dead-letter topic and return when Kafka has stored it.

        Raises KafkaError while Kafka is unavailable: the caller must not acknowledge the message then.
        """
        about = {
            "reason": reason[:1000],
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "group": group,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        own = [(OWN + name, str(value).encode()) for name, value in about.items()]
        try:
            await self._send(dlq_of(record.topic), record.key, record.value, [*_kept(record.headers), *own])
        except MessageSizeTooLargeError:
            key, headers = _shortened(record)
            await self._send(dlq_of(record.topic), key, b"", [*headers, *own])
        SENT.labels(record.topic, group).inc()
        log.warning(
            "dead letter", extra={**about, "key": (record.key or b"")[:100].decode("utf-8", "replace")}
        )

    async def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        async with self._opening:
            if self._producer is None:
                self._producer = await start_producer(self._settings)
            producer = self._producer
        try:
            # A null value would be a tombstone: a message without a value is kept with an empty one.
            async with answer_in_time():
                await producer.send_and_wait(topic, value=value or b"", key=key, headers=list(headers))
        except KafkaTimeoutError:
            if self._producer is producer:
                self._producer = None
            await stop_client(producer)
            raise

    async def stop(self) -> None:
        """Close the producer, if it was opened."""
        if self._producer is not None:
            await stop_client(self._producer)

    async def newest(self, limit: int, *, topic: str = "", replayed: bool = False) -> list[DeadLetter]:
        """Return the newest dead letters of all topics (or one), the newest first.

        Replayed ones only on request.
        """
        found: list[DeadLetter] = []
        for name in (dlq_of(t) for t in self.topics if topic in {"", t, dlq_of(t)}):
            found += [one for one in await self._listed(name) if replayed or not one.replayed]
        found.sort(key=lambda one: (one.at, one.id), reverse=True)
        return found[:limit]

    async def _listed(self, topic: str) -> list[DeadLetter]:
        """Return the dead letters of a topic, with the replay markers applied.

        Values are not kept: a topic of large messages must fit into memory.
        """
        read = await self._read(topic, lambda record: _marker(record) or _dead_letter(record))
        markers = dict(one for one in read if isinstance(one, tuple))
        dead_letters = (one for one in read if isinstance(one, DeadLetter))
        return [
            replace(one, replayed=one.id in markers, replayed_by=markers.get(one.id, ""))
            for one in dead_letters
        ]

    async def find(self, dead_letter_id: str) -> Record | None:
        """Return the record of a dead letter, or None when there is no such dead letter (any more)."""
        topic, partition, offset = _parsed(dead_letter_id)
        if topic not in {dlq_of(t) for t in self.topics}:
            return None
        records = await self._read(topic, lambda record: record, TopicPartition(topic, partition), offset, 1)
        return next((r for r in records if r.offset == offset and not _marker(r)), None)

    async def show(self, dead_letter_id: str) -> DeadLetterDetail | None:
        """Return a dead letter with headers and value, or None when there is no such dead letter."""
        record = await self.find(dead_letter_id)
        if record is None:
            return None
        letter = next(
            (one for one in await self._listed(record.topic) if one.id == dead_letter_id),
            _dead_letter(record),
        )
        text, encoding = _as_text(record.value or b"")
        headers = {name: value.decode("utf-8", "backslashreplace") for name, value in record.headers}
        return DeadLetterDetail(letter, headers, text, encoding)

    async def replay(self, record: Record, subject: str) -> str:
        """Send the original message to its topic again, write the marker and return that topic.

        Raises KafkaError, also when this service may not write to the topic.
        """
        topic = source_of(record.topic)
        await self._send(topic, record.key, record.value, _kept(record.headers))
        dead_letter_id = _id_of(record)
        await self._send(
            record.topic,
            record.key,
            b"",
            [(OWN + "replayed", dead_letter_id.encode()), (OWN + "replayed-by", subject.encode())],
        )
        log.info("dead letter replayed", extra={"id": dead_letter_id, "topic": topic, "by": subject})
        return topic

    async def _read(
        self,
        topic: str,
        keep: Callable[[Record], T],
        only: TopicPartition | None = None,
        offset: int = 0,
        count: int = 0,
    ) -> list[T]:
        """Return `keep(record)` of the last PER_PARTITION records of each partition.

        With `only` and `count`: of `count` records of that partition from `offset`.
        """
        consumer = AIOKafkaConsumer(
            topic, **connection(self._settings), enable_auto_commit=False, isolation_level="read_committed"
        )
        try:
            async with asyncio.timeout(15):
                await consumer.start()
            partitions = sorted(p for p in consumer.assignment() if only is None or p == only)
            async with asyncio.timeout(15):
                ends = await consumer.end_offsets(partitions)
                starts = await consumer.beginning_offsets(partitions)
            kept: list[T] = []
            for partition in partitions:
                first = max(starts[partition], offset if only else ends[partition] - self.PER_PARTITION)
                end = min(ends[partition], first + count) if count else ends[partition]
                if first < end:
                    consumer.seek(partition, first)
                    kept += await _until(consumer, partition, end, keep)
            return kept
        finally:
            await stop_client(consumer)


def _id_of(record: Record) -> str:
    return f"{record.topic}~{record.partition}~{record.offset}"


async def _until(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    end: int,
    keep: Callable[[Record], T],
) -> list[T]:
    kept: list[T] = []
    async with asyncio.timeout(15):
        while await consumer.position(partition) < end:
            for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                kept += [keep(record) for record in batch if record.offset < end]
    return kept


def _shortened(record: Record) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """Return key and headers of a message whose value is too large.

    What else is too long is left out; a digest replaces each part.
    """
    key, headers = record.key, _kept(record.headers)
    left_out = {"value": record.value or b""}
    if len(key or b"") > MOST_OF_KEY:
        left_out["key"], key = key, None
    if sum(len(name) + len(value or b"") for name, value in headers) > MOST_OF_HEADERS:
        left_out["headers"], headers = repr(headers).encode(), []
    return key, headers + [
        (f"{OWN}{part}-left-out", f"sha256:{hashlib.sha256(raw).hexdigest()}".encode())
        for part, raw in left_out.items()
    ]


def _kept(headers: Headers) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in headers if not name.startswith(OWN)]


def _about(record: Record) -> dict[str, str]:
    return {
        name[len(OWN) :]: value.decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(OWN)
    }


def _marker(record: Record) -> tuple[str, str] | None:
    """Return the id of the dead letter that was replayed and who replayed it, or None for a dead letter."""
    about = _about(record)
    return (about["replayed"], about.get("replayed-by", "")) if "replayed" in about else None


def _dead_letter(record: Record) -> DeadLetter:
    about = _about(record)
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    return DeadLetter(
        _id_of(record),
        about.get("topic", ""),
        int(about.get("partition", -1)),
        int(about.get("offset", -1)),
        about.get("reason", ""),
        about.get("group", ""),
        datetime.fromtimestamp(record.timestamp / 1000, UTC),
        len(record.value or b""),
        (record.key or b"").decode("utf-8", "replace"),
        headers.get("ce_type", ""),
        headers.get("ce_subject", ""),
    )


def _parsed(dead_letter_id: str) -> tuple[str, int, int]:
    topic, _, position = dead_letter_id.partition("~")
    partition, _, offset = position.partition("~")
    return (topic, int(partition), int(offset)) if _POSITION.fullmatch(position) else ("", 0, 0)


def _as_text(value: bytes) -> tuple[str, str]:
    try:
        return value.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"
