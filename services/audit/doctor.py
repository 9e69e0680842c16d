"""Compare the log with what was published of it: topics, log checkpoints, exported files. It only reads."""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition

from regista.wire.cloudevents import CloudEvent, NotACloudEvent, from_kafka
from regista.wire.keys import SigningKey
from services.audit import sealing
from services.audit.checkpoint_copies.copies import CopyUnavailable
from services.audit.checkpoint_copies.guard import Contradicted, PublishedCheckpoints
from services.audit.export.compared import OfHistory, compare
from services.audit.export.stores import StoreUnavailable
from services.audit.settings import AuditSettings
from services.audit.tiles import NotTiled
from shared.foundation.topics import PARTITIONS_OF, topic_of
from shared.log import eventlog
from shared.messaging.kafka import connection, stop_client
from shared.messaging.kafka_errors import KAFKA_ERRORS
from shared.messaging.own_topic import ACCEPTED, accepted_offsets, missing, records_between

PAGE = 500
"""Messages of one step back from the end of a partition."""
NAMED = 20
"""Lost events that are named for each topic: the newest."""
ANSWER_WITHIN = 60.0
NEWEST = """
SELECT max(recorded) FROM (
    SELECT (convert_from(e.bytes, 'UTF8')::json ->> 'recorded_at') AS recorded
    FROM log.events e ORDER BY e.tx DESC, e.seq DESC LIMIT 100
) AS newest
"""
Progress = Callable[[str], None]


@dataclass(slots=True)
class OfTopic:
    """What the log lacks of one topic. `ends` is where each partition ended when it was read."""

    topic: str
    read: int = 0
    lost: int = 0
    oldest: str = ""
    newest: str = ""
    types: dict[str, int] = field(default_factory=dict)
    named: list[dict[str, Any]] = field(default_factory=list)
    ends: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class Findings:
    """What was compared. `unknown` has, by part, why it could not be compared."""

    newest_event: str = ""
    sealed: int = 0
    restored: str = ""
    stopped: str = ""
    checkpoints: str = ""
    history: OfHistory | None = None
    topics: list[OfTopic] = field(default_factory=list)
    unknown: dict[str, str] = field(default_factory=dict)

    @property
    def lost(self) -> bool:
        """Whether something that was published is not in the log."""
        exported = self.history is not None and bool(self.history.lost)
        return bool(self.checkpoints) or exported or any(one.lost for one in self.topics)

    @property
    def damaged(self) -> bool:
        """Whether exported files are missing or changed."""
        return self.history is not None and bool(self.history.damaged)


async def examine(settings: AuditSettings, key: SigningKey, progress: Progress) -> Findings:
    """Compare everything that audit's role can read."""
    found = Findings()
    database = await asyncpg.connect(settings.database_url, command_timeout=600)
    try:
        await _log(database, found)
        progress(f"log: {found.sealed} events sealed, the newest recorded {found.newest_event or 'never'}")
        await _checkpoints(database, settings, key, found)
        progress(f"log checkpoints: {found.checkpoints or found.unknown.get('checkpoints') or 'continued'}")
        await _history(database, settings, found, progress)
        accepted = await database.fetchval(ACCEPTED)
        for service in (name for name, partitions in PARTITIONS_OF.items() if partitions):
            topic = topic_of(service)
            try:
                async with asyncio.timeout(ANSWER_WITHIN):
                    one = await _topic(
                        database, settings, service, accepted_offsets(accepted, topic), progress
                    )
            except (*KAFKA_ERRORS, TimeoutError) as error:
                found.unknown[topic] = f"Kafka did not answer ({type(error).__name__})"
                progress(f"{topic}: {found.unknown[topic]}")
            else:
                found.topics.append(one)
                progress(f"{topic}: {one.read} messages compared, {one.lost} are not in the log")
    finally:
        await database.close()
    return found


async def _log(database: asyncpg.Connection, found: Findings) -> None:
    found.newest_event = await database.fetchval(NEWEST) or ""
    found.sealed = (await sealing.head(database)).tree.size
    found.stopped = await database.fetchval(eventlog.STOPPED) or ""
    with contextlib.suppress(eventlog.RestoredBehind):
        await eventlog.check_not_restored(database)
        return
    found.restored = eventlog.RESTORED


async def _checkpoints(
    database: asyncpg.Connection, settings: AuditSettings, key: SigningKey, found: Findings
) -> None:
    published, head = PublishedCheckpoints(key, settings.copies()), await sealing.head(database)
    try:
        await published.check(database, head.origin, head.tree)
    except Contradicted as contradicted:
        found.checkpoints = contradicted.what
    except CopyUnavailable as unavailable:
        found.unknown["checkpoints"] = str(unavailable)
    finally:
        await published.close()


async def _history(
    database: asyncpg.Connection, settings: AuditSettings, found: Findings, progress: Progress
) -> None:
    if (store := settings.store()) is None:
        return
    try:
        found.history = await compare(database, store, progress)
    except (StoreUnavailable, NotTiled) as error:
        found.unknown["exported log"] = str(error).strip()
        progress(f"exported log: {found.unknown['exported log']}")
        return
    history = found.history
    progress(
        f"exported log: {history.files} files with {history.leaves} leaves compared, "
        f"{len(history.lost)} differ from the log, {len(history.damaged)} are damaged"
    )


async def _topic(
    database: asyncpg.Connection,
    settings: AuditSettings,
    service: str,
    accepted: Mapping[str, int],
    progress: Progress,
) -> OfTopic:
    """Read each partition back from its end, until a page has nothing that the log lacks."""
    found, lost = OfTopic(topic_of(service)), list[CloudEvent]()
    consumer = AIOKafkaConsumer(
        found.topic, **connection(settings), enable_auto_commit=False, isolation_level="read_committed"
    )
    try:
        await consumer.start()
        partitions = sorted(consumer.assignment())
        starts = await consumer.beginning_offsets(partitions)
        for partition, end in (await consumer.end_offsets(partitions)).items():
            found.ends[str(partition.partition)] = end
            first = max(starts[partition], accepted.get(str(partition.partition), 0))
            lost += await _back(database, consumer, service, (partition, first, end), found)
            progress(f"{found.topic}: {len(found.ends)} of {len(partitions)} partitions")
    finally:
        await stop_client(consumer)
    _name(found, lost)
    return found


async def _back(
    database: asyncpg.Connection,
    consumer: AIOKafkaConsumer,
    service: str,
    span: tuple[TopicPartition, int, int],
    found: OfTopic,
) -> list[CloudEvent]:
    partition, first, high = span
    lost: list[CloudEvent] = []
    while high > first:
        low = max(first, high - PAGE)
        events = _events(service, await records_between(consumer, partition, low, high))
        absent = await missing(database, service, events, "log.events")
        found.read += high - low
        lost += absent
        if events and not absent:
            break
        high = low
    return lost


def _events(service: str, records: Sequence[Any]) -> list[CloudEvent]:
    events = []
    for record in records:
        with contextlib.suppress(NotACloudEvent):
            events.append(from_kafka(record.value, record.headers))
    return [event for event in events if event.source == f"/regista/{service}"]


def _name(found: OfTopic, lost: Sequence[CloudEvent]) -> None:
    """Describe the lost events: how many of each type, from when to when, and the newest ones."""
    unique = {(event.subject, event.extensions["revision"]): event for event in lost}
    ordered = sorted(unique.values(), key=lambda event: event.extensions.get("recordedtime", ""))
    found.lost = len(ordered)
    found.types = dict(Counter(event.type for event in ordered))
    if ordered:
        found.oldest = ordered[0].extensions.get("recordedtime", "")
        found.newest = ordered[-1].extensions.get("recordedtime", "")
    found.named = [
        {
            "type": event.type,
            "stream": event.subject,
            "revision": int(event.extensions["revision"]),
            "recorded_at": event.extensions.get("recordedtime", ""),
            "id": event.id,
        }
        for event in reversed(ordered[-NAMED:])
    ]
