"""Dead letters: messages that can never be accepted as they are, kept in `<topic>.dlq` with the reason, listed, shown and replayed.

They live in Kafka only. Headers, key and value stay as they were; what is added starts with `regista-`. A
replay puts the original back on its topic and a marker beside the letter, so that the list tells what is
still open.
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
from typing import Any, TypeVar

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import KafkaTimeoutError, MessageSizeTooLargeError
from prometheus_client import Counter

from shared.foundation.settings import Settings
from shared.foundation.topics import dlq_of, source_of
from shared.messaging.kafka import answer_in_time, connection, start_producer, stop_client

log = logging.getLogger(__name__)

SENT = Counter("regista_dead_letters", "Messages that went to the dead letters", ["topic", "group"])
OWN = "regista-"
_PLACE = re.compile(r"\d{1,9}~\d{1,18}", re.ASCII)
Headers = Sequence[tuple[str, bytes]]
T = TypeVar("T")
MOST_OF_KEY, MOST_OF_HEADERS = 8 * 1024, 64 * 1024
"""Bytes of a letter whose message is too large to be kept whole."""


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it is listed.

    `id` is `<dead-letter topic>~<partition>~<offset>`; `value` is text, or Base64 where it is none.
    """

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
    """A dead letter with all it holds."""

    letter: DeadLetter
    headers: dict[str, str]
    value: str
    encoding: str


class DeadLetters:
    """One process's way to the dead letters of the topics it reads (and of its own).

    The producer is opened at the first letter.
    """

    PER_PARTITION = 1_000

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self.topics = tuple(dict.fromkeys(topics))
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()

    async def add(self, record: ConsumerRecord[Any, Any], reason: str, group: str) -> None:
        """Returns when Kafka has the letter.

        Raises KafkaError while it cannot: the caller must not acknowledge the message before.
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
            async with (
                answer_in_time()
            ):  # a null value would be a tombstone; the letter of a message without a value has an empty one
                await producer.send_and_wait(topic, value=value or b"", key=key, headers=list(headers))
        except KafkaTimeoutError:
            if self._producer is producer:
                self._producer = None
            await stop_client(producer)
            raise

    async def stop(self) -> None:
        """Closes the producer, if it was opened."""
        if self._producer is not None:
            await stop_client(self._producer)

    async def newest(self, limit: int, *, topic: str = "", replayed: bool = False) -> list[DeadLetter]:
        """The newest letters of all topics (or one), newest first; those already replayed only on request."""
        found: list[DeadLetter] = []
        for name in (dlq_of(t) for t in self.topics if topic in {"", t, dlq_of(t)}):
            letters = await self._listed(name)
            found += [letter for letter in letters if replayed or not letter.replayed]
        found.sort(key=lambda letter: (letter.at, letter.id), reverse=True)
        return found[:limit]

    async def _listed(self, topic: str) -> list[DeadLetter]:
        """What is read is a letter or a mark on one.

        Neither keeps the message's value: a topic of large messages must fit into memory.
        """
        read = await self._read(topic, lambda record: _mark(record) or _letter(record))
        marks = dict(one for one in read if isinstance(one, tuple))
        letters = (one for one in read if isinstance(one, DeadLetter))
        return [replace(one, replayed=one.id in marks, replayed_by=marks.get(one.id, "")) for one in letters]

    async def find(self, letter_id: str) -> ConsumerRecord[Any, Any] | None:
        """The record of one letter, None when there is no such letter (any more)."""
        topic, partition, offset = _parsed(letter_id)
        if topic not in {dlq_of(t) for t in self.topics}:
            return None
        records = await self._read(topic, lambda record: record, TopicPartition(topic, partition), offset, 1)
        return next((r for r in records if r.offset == offset and not _mark(r)), None)

    async def show(self, letter_id: str) -> DeadLetterDetail | None:
        """One letter with its headers and value."""
        record = await self.find(letter_id)
        if record is None:
            return None
        letter = next(
            (one for one in await self._listed(record.topic) if one.id == letter_id), _letter(record)
        )
        text, encoding = _as_text(record.value or b"")
        headers = {name: value.decode("utf-8", "backslashreplace") for name, value in record.headers}
        return DeadLetterDetail(letter, headers, text, encoding)

    async def replay(self, record: ConsumerRecord[Any, Any], subject: str) -> str:
        """Puts the original message back on its topic and marks the letter; answers that topic.

        Raises KafkaError, also when this service may not write there.
        """
        topic = source_of(record.topic)
        await self._send(topic, record.key, record.value, _kept(record.headers))
        letter_id = f"{record.topic}~{record.partition}~{record.offset}"
        await self._send(
            record.topic,
            record.key,
            b"",
            [(OWN + "replayed", letter_id.encode()), (OWN + "replayed-by", subject.encode())],
        )
        log.info("dead letter replayed", extra={"letter": letter_id, "topic": topic, "by": subject})
        return topic

    async def _read(
        self,
        topic: str,
        keep: Callable[[ConsumerRecord[Any, Any]], T],
        only: TopicPartition | None = None,
        offset: int = 0,
        count: int = 0,
    ) -> list[T]:
        """What `keep` makes of the last PER_PARTITION records of each partition, or of `count` from an offset of one."""
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


async def _until(
    consumer: AIOKafkaConsumer,
    partition: TopicPartition,
    end: int,
    keep: Callable[[ConsumerRecord[Any, Any]], T],
) -> list[T]:
    kept: list[T] = []
    async with asyncio.timeout(15):
        while await consumer.position(partition) < end:
            for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                kept += [keep(record) for record in batch if record.offset < end]
    return kept


def _shortened(record: ConsumerRecord[Any, Any]) -> tuple[bytes | None, list[tuple[str, bytes]]]:
    """Key and headers of a letter without its value, and without what else is too long; a digest stands for each part left out."""
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


def _about(record: ConsumerRecord[Any, Any]) -> dict[str, str]:
    return {
        name[len(OWN) :]: value.decode("utf-8", "replace")
        for name, value in record.headers
        if name.startswith(OWN)
    }


def _mark(record: ConsumerRecord[Any, Any]) -> tuple[str, str] | None:
    """The letter that was replayed, and who replayed it; None for a record that is a letter itself."""
    about = _about(record)
    return (about["replayed"], about.get("replayed-by", "")) if "replayed" in about else None


def _letter(record: ConsumerRecord[Any, Any]) -> DeadLetter:
    about = _about(record)
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    letter_id = f"{record.topic}~{record.partition}~{record.offset}"
    return DeadLetter(
        letter_id,
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


def _parsed(letter_id: str) -> tuple[str, int, int]:
    topic, _, place = letter_id.partition("~")
    partition, _, offset = place.partition("~")
    return (topic, int(partition), int(offset)) if _PLACE.fullmatch(place) else ("", 0, 0)


def _as_text(value: bytes) -> tuple[str, str]:
    try:
        return value.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"
