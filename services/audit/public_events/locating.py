"""Find in the index what the events of messages are about: the messages themselves often do not name it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg

from regista.wire.cloudevents import NotACloudEvent, utc
from regista.wire.event_feed import Partition, to_json
from services.audit import queries
from services.audit.domain.audience import About, Audience, about
from services.audit.domain.reading import SHARED_STREAMS, is_uuid
from shared.messaging.kafka import Malformed, Received
from shared.messaging.own_topic import ACCEPTED, accepted_offsets

# Which of these events are indexed.
INDEXED = """
SELECT i.event_id::text FROM audit.event_index i
WHERE i.generation = (SELECT generation FROM audit.index_state) AND i.event_id = ANY($1::uuid[])
"""

# The models that the events of shared streams named so far.
SHARING = """
SELECT s.stream, array_agg(DISTINCT s.model_id::text) AS models FROM audit.shared_streams s
WHERE s.generation = (SELECT generation FROM audit.index_state) AND s.stream = ANY($1::text[])
GROUP BY s.stream
"""


@dataclass(frozen=True, slots=True)
class Item:
    """A public event with its partition in the topics, who may receive it, and its JSON."""

    partition: Partition
    offset: int
    type: str
    recorded_at: datetime
    models: frozenset[str]
    audience: Audience
    json: bytes


async def located(pool: asyncpg.Pool, messages: Sequence[Received]) -> list[Item] | None:
    """Return the items of messages, in their order; None while one of their events is not indexed yet.

    A message whose event the log lost before a restore was accepted has none.
    """
    ids = {message.event.id for message in messages if is_uuid(message.event.id)}
    if not ids:
        return []
    found = {row[0] for row in await pool.fetch(INDEXED, [UUID(id_) for id_ in ids])}
    kept = [message for message in messages if message.event.id in found]
    if len(kept) < len(messages):
        accepted = await pool.fetchval(ACCEPTED)
        for message in messages:
            given_up = accepted_offsets(accepted, message.topic).get(str(message.partition), 0)
            if message.event.id not in found and message.offset >= given_up:
                return None
    return await _items(pool, kept)


async def _items(pool: asyncpg.Pool, messages: Sequence[Received]) -> list[Item]:
    streams = {m.event.subject for m in messages if m.event.subject.startswith(SHARED_STREAMS)}
    sharing = {row[0]: row[1] for row in await pool.fetch(SHARING, list(streams))} if streams else {}
    found = [(message, _about(message, sharing)) for message in messages]
    models = {model for _, one in found if one is not None for model in one.owners}
    names = await queries.names(pool, models) if models else {}
    items = [_item(message, one, names) for message, one in found if one is not None]
    return [item for item in items if item is not None]


def _about(message: Received, sharing: Mapping[str, list[str]]) -> About | None:
    event = message.event
    try:
        return about(event.type, event.subject, message.data, sharing.get(event.subject, ()))
    except Malformed:
        return None


def _item(message: Received, one: About, names: Mapping[str, str]) -> Item | None:
    event = message.event
    service = event.source.removeprefix("/regista/")
    try:
        recorded = datetime.fromisoformat(utc(event.extensions.get("recordedtime", event.time)))
        json = to_json(event)
    except NotACloudEvent:
        return None
    partition = (service, message.partition)
    return Item(partition, message.offset, event.type, recorded, one.models, one.audience(names), json)
