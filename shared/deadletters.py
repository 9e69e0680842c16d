"""Dead letters: messages that can never be accepted as they are, kept in `<topic>.dlq` with the reason, listed, shown and replayed.

They live in Kafka only. Headers, key and value stay as they were; what is added starts with `regista-`. A replay puts the original back on
its topic and a marker beside the letter, so that the list tells what is still open.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, ConsumerRecord, TopicPartition
from aiokafka.errors import MessageSizeTooLargeError
from prometheus_client import Counter

from shared.kafka import connection, start_producer, stop_quietly
from shared.settings import Settings

log = logging.getLogger(__name__)

SENT = Counter("regista_dead_letters", "Messages that went to the dead letters", ["topic", "group"])
OWN = "regista-"
_PLACE = re.compile(r"\d{1,9}~\d{1,18}", re.ASCII)
Headers = Sequence[tuple[str, bytes]]


def dlq_of(topic: str) -> str:
    """The dead-letter topic beside `topic`."""
    return f"{topic}.dlq"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A dead letter as it is listed. `id` is `<dead-letter topic>~<partition>~<offset>`; `value` is text, or Base64 where it is none."""

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
class Shown:
    """A dead letter with all it holds."""

    letter: DeadLetter
    headers: dict[str, str]
    value: str
    encoding: str


class DeadLetters:
    """One process's way to the dead letters of the topics it reads (and of its own). The producer is opened at the first letter."""

    PER_PARTITION = 1_000

    def __init__(
        self, settings: Settings, topics: Sequence[str], connect: Callable[[Settings], Awaitable[AIOKafkaProducer]] = start_producer
    ) -> None:
        self.topics = tuple(dict.fromkeys(topics))
        self._settings = settings
        self._connect = connect
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()

    async def bury(self, record: ConsumerRecord[Any, Any], reason: str, group: str) -> None:
        """Returns when Kafka has the letter. Raises KafkaError while it cannot: the caller must not acknowledge the message before."""
        about = {"reason": reason[:1000], "topic": record.topic, "partition": record.partition, "offset": record.offset, "group": group,
                 "at": datetime.now(UTC).isoformat(timespec="milliseconds")}  # fmt: skip
        headers = [*_kept(record.headers), *((OWN + name, str(value).encode()) for name, value in about.items())]
        try:
            await self._send(dlq_of(record.topic), record.key, record.value, headers)
        except MessageSizeTooLargeError:
            digest = hashlib.sha256(record.value or b"").hexdigest()
            await self._send(dlq_of(record.topic), record.key, b"", [*headers, (OWN + "value-left-out", f"sha256:{digest}".encode())])
        SENT.labels(record.topic, group).inc()
        log.warning("dead letter", extra={**about, "key": (record.key or b"")[:100].decode("utf-8", "replace")})

    async def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> None:
        async with self._opening:
            if self._producer is None:
                self._producer = await self._connect(self._settings)
        # A null value would be a tombstone; the letter of a message without a value has an empty one.
        await self._producer.send_and_wait(topic, value=value or b"", key=key, headers=list(headers))

    async def stop(self) -> None:
        """Closes the producer, if it was opened."""
        if self._producer is not None:
            await stop_quietly(self._producer)

    async def newest(self, limit: int, *, topic: str = "", replayed: bool = False) -> list[DeadLetter]:
        """The newest letters of all topics (or one), newest first; those already replayed only on request."""
        found: list[DeadLetter] = []
        for name in (dlq_of(t) for t in self.topics if topic in {"", t, dlq_of(t)}):
            records = await self._read(name)
            marks = _marks(records)
            letters = (_letter(r, marks) for r in records if not _is_mark(r))
            found += [letter for letter in letters if replayed or not letter.replayed]
        found.sort(key=lambda letter: (letter.at, letter.id), reverse=True)
        return found[:limit]

    async def find(self, letter_id: str) -> ConsumerRecord[Any, Any] | None:
        """The record of one letter, None when there is no such letter (any more)."""
        topic, partition, offset = _parsed(letter_id)
        if topic not in {dlq_of(t) for t in self.topics}:
            return None
        records = await self._read(topic, TopicPartition(topic, partition), offset, 1)
        return next((r for r in records if r.offset == offset and not _is_mark(r)), None)

    async def show(self, letter_id: str) -> Shown | None:
        """One letter with its headers and value."""
        record = await self.find(letter_id)
        if record is None:
            return None
        marks = _marks(await self._read(record.topic))
        text, encoding = _as_text(record.value or b"")
        headers = {name: value.decode("utf-8", "backslashreplace") for name, value in record.headers}
        return Shown(_letter(record, marks), headers, text, encoding)

    async def replay(self, record: ConsumerRecord[Any, Any], subject: str) -> str:
        """Puts the original message back on its topic and marks the letter; answers that topic. Raises KafkaError, also when this service may not write there."""
        topic: str = record.topic.removesuffix(".dlq")
        await self._send(topic, record.key, record.value, _kept(record.headers))
        letter_id = f"{record.topic}~{record.partition}~{record.offset}"
        await self._send(record.topic, record.key, b"", [(OWN + "replayed", letter_id.encode()), (OWN + "replayed-by", subject.encode())])
        log.info("dead letter replayed", extra={"letter": letter_id, "topic": topic, "by": subject})
        return topic

    async def _read(self, topic: str, only: TopicPartition | None = None, offset: int = 0, count: int = 0) -> list[ConsumerRecord[Any, Any]]:
        """The last PER_PARTITION records of each partition, or `count` from an offset of one."""
        consumer = AIOKafkaConsumer(topic, **connection(self._settings), enable_auto_commit=False, isolation_level="read_committed")
        try:
            async with asyncio.timeout(15):
                await consumer.start()
            partitions = sorted(p for p in consumer.assignment() if only is None or p == only)
            async with asyncio.timeout(15):
                ends = await consumer.end_offsets(partitions)
                starts = await consumer.beginning_offsets(partitions)
            records: list[ConsumerRecord[Any, Any]] = []
            for partition in partitions:
                first = max(starts[partition], offset if only else ends[partition] - self.PER_PARTITION)
                end = min(ends[partition], first + count) if count else ends[partition]
                if first < end:
                    consumer.seek(partition, first)
                    records += await _until(consumer, partition, end)
            return records
        finally:
            await stop_quietly(consumer)


async def _until(consumer: AIOKafkaConsumer, partition: TopicPartition, end: int) -> list[ConsumerRecord[Any, Any]]:
    records: list[ConsumerRecord[Any, Any]] = []
    async with asyncio.timeout(15):
        while await consumer.position(partition) < end:
            for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                records += [record for record in batch if record.offset < end]
    return records


def _kept(headers: Headers) -> list[tuple[str, bytes]]:
    return [(name, value) for name, value in headers if not name.startswith(OWN)]


def _about(record: ConsumerRecord[Any, Any]) -> dict[str, str]:
    return {name[len(OWN) :]: value.decode("utf-8", "replace") for name, value in record.headers if name.startswith(OWN)}


def _is_mark(record: ConsumerRecord[Any, Any]) -> bool:
    return any(name == OWN + "replayed" for name, _ in record.headers)


def _marks(records: Sequence[ConsumerRecord[Any, Any]]) -> dict[str, str]:
    about = [_about(record) for record in records if _is_mark(record)]
    return {mark["replayed"]: mark.get("replayed-by", "") for mark in about}


def _letter(record: ConsumerRecord[Any, Any], marks: dict[str, str]) -> DeadLetter:
    about = _about(record)
    headers = {name: value.decode("utf-8", "replace") for name, value in record.headers}
    letter_id = f"{record.topic}~{record.partition}~{record.offset}"
    return DeadLetter(
        letter_id, about.get("topic", ""), int(about.get("partition", -1)), int(about.get("offset", -1)), about.get("reason", ""),
        about.get("group", ""), datetime.fromtimestamp(record.timestamp / 1000, UTC), len(record.value or b""),
        (record.key or b"").decode("utf-8", "replace"), headers.get("ce_type", ""), headers.get("ce_subject", ""),
        letter_id in marks, marks.get(letter_id, ""),
    )  # fmt: skip


def _parsed(letter_id: str) -> tuple[str, int, int]:
    topic, _, place = letter_id.partition("~")
    partition, _, offset = place.partition("~")
    return (topic, int(partition), int(offset)) if _PLACE.fullmatch(place) else ("", 0, 0)


def _as_text(value: bytes) -> tuple[str, str]:
    try:
        return value.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"
