"""Receive events from Kafka, with the Kafka user of a reader; needs `regista[kafka]`.

It assigns the partitions to itself and commits nothing: the caller keeps the cursor.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from datetime import datetime
from typing import Any

from regista.client.patience import Patience
from regista.client.profile import Profile
from regista.errors import Forbidden, Invalid, NotConfigured, RegistaError, Unavailable
from regista.following.event import Selection
from regista.kafka_reasons import kafka_reasons
from regista.publishing.kafka import CONNECTING, SEND_SECONDS, STOP_SECONDS, connection
from regista.wire.cloudevents import CloudEvent, NotACloudEvent, from_kafka
from regista.wire.event_feed import (
    SERVICES,
    Partition,
    Position,
    cursor_of,
    is_behind,
    merged,
    position_of,
    topic_of,
)

log = logging.getLogger("regista")

WAIT_MS = 1_000
CLOCKS_DIFFER = 300
"""Seconds by which a message may be dated before its event."""
FETCH_BYTES = 8 * 1024 * 1024


async def over_kafka(
    profile: Profile, asked: Selection, patience: Patience
) -> AsyncGenerator[tuple[str, CloudEvent | None, str]]:
    """Yield the cursor with the event before it; None where the position moved without an event.

    The third is the service that may have sent it, by its topic. Raises RegistaError when Kafka does not
    answer at first, or refuses the user.
    """
    reader = await _opened(profile, patience)
    try:
        end = await reader.begin(asked)
        yield cursor_of(reader.position), None, ""
        while asked.follow or is_behind(reader.position, end):
            for partition, record in await reader.read():
                reader.position[partition] = record.offset + 1
                yield cursor_of(reader.position), _event(record), partition[0]
            yield cursor_of(reader.position), None, ""
    finally:
        await reader.close()


def _event(record: Any) -> CloudEvent | None:
    try:
        return from_kafka(record.value, record.headers, record.key)
    except NotACloudEvent as e:
        log.warning("a message on %s is passed over: %s", record.topic, e)
        return None


class _Reader:
    """A started consumer of all partitions, without a group."""

    def __init__(self, consumer: Any, partitions: dict[Any, Partition]) -> None:
        self._consumer, self._partitions = consumer, partitions
        self.position: Position = {}

    async def begin(self, asked: Selection) -> Position:
        """Go to where the reader wants to begin. Return the present end. Raises Invalid and Unavailable."""
        from aiokafka.errors import KafkaError  # noqa: PLC0415 - an extra, loaded when used

        try:
            async with asyncio.timeout(SEND_SECONDS):
                end = self._of(await self._consumer.end_offsets(list(self._partitions)))
                oldest = self._of(await self._consumer.beginning_offsets(list(self._partitions)))
                start = await self._start(asked, end)
        except (KafkaError, TimeoutError) as e:
            raise Unavailable(
                "kafka_unavailable", f"Kafka did not name the offsets of its topics: {e!r}"
            ) from e
        if is_behind(end, start):
            raise Invalid(
                "cursor_unknown",
                "the position is behind the newest event: it is of another log, or the topics were replaced",
                advice="Begin with a time: since, or --since.",
            )
        self.position = merged(oldest, start)
        for at, partition in self._partitions.items():
            self._consumer.seek(at, self.position.get(partition, 0))
        return end

    async def _start(self, asked: Selection, end: Position) -> Position:
        if asked.cursor:
            return position_of(asked.cursor)
        return end if asked.since is None else end | await self._at(asked.since)

    async def _at(self, moment: datetime) -> Position:
        since = max(0, int((moment.timestamp() - CLOCKS_DIFFER) * 1000))
        found = await self._consumer.offsets_for_times(dict.fromkeys(self._partitions, since))
        return {self._partitions[at]: one.offset for at, one in found.items() if one is not None}

    def _of(self, offsets: dict[Any, int]) -> Position:
        return {self._partitions[at]: offset for at, offset in offsets.items()}

    async def read(self) -> list[tuple[Partition, Any]]:
        """Return the next records, none after a while. Kafka's client waits for an unreachable broker."""
        batch = await self._consumer.getmany(timeout_ms=WAIT_MS, max_records=500)
        return [(self._partitions[at], record) for at, records in batch.items() for record in records]

    async def close(self) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await self._consumer.stop()


async def _opened(profile: Profile, patience: Patience) -> _Reader:
    try:
        from aiokafka.errors import KafkaError, TopicAuthorizationFailedError  # noqa: PLC0415
    except ImportError:
        raise NotConfigured(
            "kafka_missing",
            "events from Kafka need `pip install 'regista[kafka]'`",
            advice="Install it, or receive them over HTTP: via='http', --via http.",
        ) from None
    settings, attempt = connection(profile), 0
    while True:
        try:
            with kafka_reasons() as reasons:
                return await _started(settings)
        except TopicAuthorizationFailedError as e:
            raise _forbidden(profile) from e
        except (KafkaError, TimeoutError) as e:
            attempt += 1
            if attempt >= (patience.attempts or 6):
                raise Unavailable(
                    "kafka_unavailable",
                    f"{profile.kafka_bootstrap} is unreachable, or refuses the user: {reasons.with_error(e)}",
                    advice=CONNECTING,
                ) from e
        await asyncio.sleep(patience.pause(attempt, None))


def _forbidden(profile: Profile) -> RegistaError:
    return Forbidden(
        "kafka_forbidden",
        f"{profile.kafka_user or 'anonymous'} may not read the topics of the services",
        advice="Use the Kafka user of a reader (REGISTA_KAFKA_USER), or HTTP: via='http', --via http.",
    )


async def _started(settings: dict[str, Any]) -> _Reader:
    from aiokafka import AIOKafkaConsumer  # noqa: PLC0415

    service_of = {topic_of(service): service for service in SERVICES}
    consumer = AIOKafkaConsumer(
        *service_of,
        **settings,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        fetch_max_bytes=FETCH_BYTES,
    )
    try:
        async with asyncio.timeout(SEND_SECONDS):
            await consumer.start()
        partitions = {at: (service_of[at.topic], at.partition) for at in sorted(consumer.assignment())}
        # A subscription would begin all topics again when one gets another partition.
        consumer.unsubscribe()
        consumer.assign(list(partitions))
        return _Reader(consumer, partitions)
    except BaseException:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(STOP_SECONDS):
                await consumer.stop()
        raise
