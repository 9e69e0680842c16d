"""Keep, list, show, replay and dismiss dead letters: messages that can never be accepted as they are.

They stand in `<topic>.dlq` with the reason, and nowhere else. Headers, key and value stay unchanged; the
added headers start with `regista-`. A replay sends the original to its topic again. It writes a marker beside
the dead letter, as a dismissal does, so that the list shows which are open.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import logging
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import Any, TypeVar

import asyncpg
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.errors import KafkaTimeoutError
from prometheus_client import Counter

from shared.deciding.denied_attempts import quoted
from shared.deciding.events import Actor
from shared.foundation.settings import Settings
from shared.foundation.topics import dlq_of, source_of
from shared.log.denied_attempts import NOT_IDENTIFIED, DeniedAttempts
from shared.log.inbox import Once
from shared.log.refused_messages import RefusedMessages
from shared.messaging.dead_letter_records import (
    DISMISSED,
    NOT_AUTHENTIC,
    OWN,
    REPLAYED,
    DeadLetter,
    DeadLetterDetail,
    DeadLetterGroup,
    Headers,
    cause_of,
    dead_letter,
    grouped,
    id_of,
    kept,
    marker,
    merged,
    own,
)
from shared.messaging.kafka import Record, answer_in_time, connection, start_producer, stop_client

log = logging.getLogger(__name__)

SENT = Counter("regista_dead_letters", "Messages written to a dead-letter topic", ["topic", "group"])
_POSITION = re.compile(r"\d{1,9}~\d{1,18}", re.ASCII)
DENIED = frozenset({"role_missing", "no_live_key", "identity_disabled", "unknown_identity"})
"""Codes of refusals that the signer's rights led to. Its signature was verified before."""
PUBLISHERS = "/publishers/"
T = TypeVar("T")
MOST_LISTED = 100_000
_READING = {"enable_auto_commit": False, "isolation_level": "read_committed", "fetch_max_wait_ms": 10}
"""A consumer stops when its last request is answered: the usual wait for new messages is half a second."""
MOST_OF_VALUE, HEAD_OF_VALUE = 64 * 1024, 4 * 1024
"""A larger value is not copied: its head, its digest and its size are. A replay takes it from its topic."""
MOST_OF_KEY, MOST_OF_HEADERS = 8 * 1024, 64 * 1024
"""Larger keys and headers are replaced by a digest."""
LEFT_OUT = "-left-out"


class OriginalGone(Exception):  # noqa: N818 - it is an answer
    """The dead letter was too large to be kept whole, and the message is not in its topic any more."""


class DeadLetters:
    """The dead letters of the topics that this process reads, and of its own topics.

    The first dead letter opens the producer.
    """

    PER_PARTITION = 1_000
    ANSWERED_WITHIN = 5.0
    """Time limit for reading dead letters, in seconds, over all topics."""

    def __init__(self, settings: Settings, topics: Sequence[str]) -> None:
        self.topics = tuple(dict.fromkeys(topics))
        self._settings = settings
        self._producer: AIOKafkaProducer | None = None
        self._opening = asyncio.Lock()
        self.denied_attempts: DeniedAttempts | None = None
        self.once: Once | None = None
        self.refused: RefusedMessages | None = None
        """What this service dead-lettered, and why; None for a process without a database."""

    def attach(self, pool: asyncpg.Pool, schema: str) -> None:
        """Record in this schema what is dead-lettered from now on."""
        self.once, self.refused = Once(pool, schema), RefusedMessages(pool, schema)

    async def add(self, record: Record, reason: str, group: str, code: str = "") -> str:
        """Write the record to its dead-letter topic and return the id when Kafka has stored it.

        Return "" when it was written before: its consumer group was set back. Raises KafkaError while
        Kafka is unavailable: the caller must not acknowledge the message then.
        """
        cause = cause_of(record, group)
        position = f"{record.topic}/{record.partition}/{record.offset}/{cause}"
        if self.once is not None and await self.once.has(f"dead-letter/{group}", position):
            return ""
        about = {
            "cause": cause,
            "code": code,
            "reason": reason[:1000],
            "topic": record.topic,
            "partition": record.partition,
            "offset": record.offset,
            "group": group,
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
        }
        added = own(**about)
        key, value, headers = _shortened(record)
        sent = await self._send(dlq_of(record.topic), key, value, [*headers, *added])
        if self.once is not None:
            await self.once.record(f"dead-letter/{group}", position)
        SENT.labels(record.topic, group).inc()
        self._note_denied(record, reason, code)
        log.warning(
            "dead letter", extra={**about, "key": (record.key or b"")[:100].decode("utf-8", "replace")}
        )
        return f"{sent.topic}~{sent.partition}~{sent.offset}"

    def _note_denied(self, record: Record, reason: str, code: str) -> None:
        """Record that a publisher lacks a right, or that a message is not authentic: no one signed it."""
        headers = {name: value.decode("utf-8", "replace") for name, value in record.headers if value}
        type_, signer = headers.get("ce_type", ""), headers.get("ce_source", "").removeprefix(PUBLISHERS)
        if self.denied_attempts is None:
            return
        if code == NOT_AUTHENTIC:
            typed = (*headers.values(), *quoted(reason))
            self.denied_attempts.note(NOT_IDENTIFIED, code, record.topic, reason, typed=typed)
        elif code in DENIED:
            actor = Actor(signer, method="signature")
            self.denied_attempts.note(actor, code, type_, reason, {"id": headers.get("ce_id", "")})

    async def _send(self, topic: str, key: bytes | None, value: bytes | None, headers: Headers) -> Any:
        async with self._opening:
            if self._producer is None:
                self._producer = await start_producer(self._settings)
            producer = self._producer
        try:
            # A null value would be a tombstone: a message without a value is kept with an empty one.
            async with answer_in_time():
                return await producer.send_and_wait(topic, value=value or b"", key=key, headers=list(headers))
        except KafkaTimeoutError:
            if self._producer is producer:
                self._producer = None
            await stop_client(producer)
            raise

    async def stop(self) -> None:
        """Close the producer, if it was opened."""
        if self._producer is not None:
            await stop_client(self._producer)

    async def newest(
        self, limit: int, *, topic: str = "", replayed: bool = False, dismissed: bool = False
    ) -> list[DeadLetter]:
        """Return the newest dead letters of all topics (or one), the newest first.

        Replayed and dismissed ones only on request. Raises KafkaTimeoutError after ANSWERED_WITHIN.
        """
        names = [dlq_of(t) for t in self.topics if topic in {"", t, dlq_of(t)}]
        listed = await self._in_time(self._listed(*names)) if names else []
        found = [one for one in listed if (replayed or not one.replayed) and (dismissed or not one.dismissed)]
        found.sort(key=lambda one: (one.at, one.id), reverse=True)
        return found[:limit]

    async def groups(self, *, topic: str = "") -> list[DeadLetterGroup]:
        """Return the open dead letters by topic, consumer group, code and signer."""
        return grouped(await self.newest(len(self.topics) * MOST_LISTED, topic=topic))

    async def _in_time(self, reading: Awaitable[T]) -> T:
        try:
            async with asyncio.timeout(self.ANSWERED_WITHIN):
                return await reading
        except TimeoutError as late:
            raise KafkaTimeoutError(f"Kafka did not answer within {self.ANSWERED_WITHIN:g} s") from late

    async def _listed(self, *topics: str) -> list[DeadLetter]:
        """Return the dead letters of topics, without values, with the replay markers applied."""
        found = await self._read(topics, lambda one: (one.topic, marker(one) or dead_letter(one)))
        return [one for topic in topics for one in merged(part for of, part in found if of == topic)]

    async def find(self, dead_letter_id: str) -> Record | None:
        """Return the record of a dead letter, or None when there is no such dead letter (any more)."""
        topic, partition, offset = _parsed(dead_letter_id)
        if topic not in {dlq_of(t) for t in self.topics}:
            return None
        reading = self._read((topic,), lambda record: record, TopicPartition(topic, partition), offset, 1)
        return next((r for r in await self._in_time(reading) if r.offset == offset and not marker(r)), None)

    async def show(self, dead_letter_id: str) -> DeadLetterDetail | None:
        """Return a dead letter with headers and value, or None when there is no such dead letter."""
        record = await self.find(dead_letter_id)
        if record is None:
            return None
        letter = next(
            (one for one in await self._in_time(self._listed(record.topic)) if one.id == dead_letter_id),
            dead_letter(record),
        )
        text, encoding = _as_text(record.value or b"")
        headers = {name: value.decode("utf-8", "backslashreplace") for name, value in record.headers}
        return DeadLetterDetail(letter, headers, text, encoding)

    async def replay(self, record: Record, subject: str, reason: str = "") -> str:
        """Send the original message to its topic again, write the marker, and return that topic.

        Raises KafkaError, also when this service may not write to the topic, and OriginalGone.
        """
        topic = source_of(record.topic)
        covers = await self._newest_of(record)
        original = await self._original(record)
        await self._send(topic, original.key, original.value, kept(original.headers))
        await self._close(record, REPLAYED, subject, covers, reason)
        return topic

    async def dismiss(self, record: Record, subject: str, reason: str) -> None:
        """Write a marker with who dismissed the dead letter, and why. Its message stays where it is."""
        await self._close(record, DISMISSED, subject, await self._newest_of(record), reason)

    async def _original(self, record: Record) -> Record:
        """Return the message as it was sent: of a shortened dead letter, from its own topic."""
        about = {name: value.decode("utf-8", "replace") for name, value in record.headers}
        left_out = {
            n.removeprefix(OWN).removesuffix(LEFT_OUT): v for n, v in about.items() if _is_left_out(n)
        }
        if not left_out:
            return record
        where = TopicPartition(source_of(record.topic), int(about[f"{OWN}partition"]))
        offset = int(about[f"{OWN}offset"])
        found = await self._read((where.topic,), lambda one: one, where, offset, 1)
        original = next((one for one in found if one.offset == offset), None)
        if original is None or _digests(original, left_out) != left_out:
            raise OriginalGone(f"{where.topic}/{where.partition}/{offset}")
        return original

    async def _newest_of(self, record: Record) -> datetime:
        """Return when the newest record with this cause was written: a later one stays open."""
        of_record = dead_letter(record)
        listed = await self._in_time(self._listed(record.topic))
        return max([of_record.at, *(one.at for one in listed if one.cause == of_record.cause)])

    async def _close(
        self, record: Record, how: str, subject: str, covers: datetime, reason: str = ""
    ) -> None:
        about = {how: id_of(record), f"{how}-by": subject, "covers": covers.isoformat(), "why": reason}
        await self._send(record.topic, record.key, b"", own(**about))
        log.info("dead letter %s", how, extra={"id": id_of(record), "by": subject, "why": reason})

    async def _read(
        self,
        topics: Sequence[str],
        keep: Callable[[Record], T],
        only: TopicPartition | None = None,
        offset: int = 0,
        count: int = 0,
    ) -> list[T]:
        """Return `keep(record)` of the last PER_PARTITION records of each partition.

        With `only` and `count`: of `count` records of that partition from `offset`.
        """
        consumer = AIOKafkaConsumer(*topics, **connection(self._settings), **_READING)
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
    keep: Callable[[Record], T],
) -> list[T]:
    kept: list[T] = []
    async with asyncio.timeout(15):
        while await consumer.position(partition) < end:
            for batch in (await consumer.getmany(partition, timeout_ms=500)).values():
                kept += [keep(record) for record in batch if record.offset < end]
    return kept


def _is_left_out(name: str) -> bool:
    return name.startswith(OWN) and name.endswith(LEFT_OUT)


def _part(record: Record, name: str) -> bytes:
    parts = {"value": record.value, "key": record.key, "headers": repr(kept(record.headers)).encode()}
    return parts[name] or b""


def _digests(record: Record, names: Iterable[str]) -> dict[str, str]:
    return {name: f"sha256:{hashlib.sha256(_part(record, name)).hexdigest()}" for name in names}


def _shortened(record: Record) -> tuple[bytes | None, bytes, list[tuple[str, bytes]]]:
    """Return key, value and headers as a dead letter keeps them.

    Of a value that is too long it keeps the head; a digest stands for each part that is too long.
    """
    key, value, headers = record.key, record.value or b"", kept(record.headers)
    left_out = []
    if len(value) > MOST_OF_VALUE:
        left_out.append("value")
        headers = [*headers, *own(**{"value-size": len(value)})]
        value = value[:HEAD_OF_VALUE]
    if len(key or b"") > MOST_OF_KEY:
        left_out.append("key")
        key = None
    if sum(len(name) + len(content or b"") for name, content in kept(record.headers)) > MOST_OF_HEADERS:
        left_out.append("headers")
        headers = [header for header in headers if header[0].startswith(OWN)]
    digests = _digests(record, left_out)
    return key, value, headers + own(**{f"{name}{LEFT_OUT}": digest for name, digest in digests.items()})


def _parsed(dead_letter_id: str) -> tuple[str, int, int]:
    topic, _, position = dead_letter_id.partition("~")
    partition, _, offset = position.partition("~")
    return (topic, int(partition), int(offset)) if _POSITION.fullmatch(position) else ("", 0, 0)


def _as_text(value: bytes) -> tuple[str, str]:
    try:
        return value.decode(), "text"
    except UnicodeDecodeError:
        return base64.b64encode(value).decode(), "base64"
