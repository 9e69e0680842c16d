"""Messages → commands: what registry says about models, and what publishers say about use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import msgspec

from services.cleanup.domain.noted import PUBLIC_TYPES, READERS, RECORDED, ModelNamed, read
from services.cleanup.domain.retention import NoteRegistryEvent, stream_of
from services.cleanup.due_work import schedule_next
from services.cleanup.inbound import MODEL_USED, USAGE_TOPIC
from services.cleanup.look_ups import Reports
from shared.deciding.submission import Submission
from shared.foundation.topics import topic_of
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_publishers, by_service

if TYPE_CHECKING:
    from shared.http.app import App


async def registry_said(m: Received) -> Sequence[Submission]:
    """Notes one of registry's events.

    A model's birth also makes sure that the coming month's sweep is scheduled.
    """
    data = {**m.data, RECORDED: m.event.extensions.get("recordedtime", m.event.time)}
    try:
        fact = read(m.event.type, data)
    except msgspec.ValidationError as e:
        raise Malformed(f"not the shape that cleanup knows of {m.event.type}: {e}") from e
    note = NoteRegistryEvent(m.source, m.leaf, data)
    noted = Submission(note, (stream_of(fact.model_id),), m.cause(), m.actor)
    return (
        [noted, schedule_next(datetime.now(UTC))]
        if PUBLIC_TYPES[m.event.type] == "ModelRegistered"
        else [noted]
    )


def subscriptions(app: App) -> list[Subscription]:
    """What cleanup listens to."""
    reports = Reports(app)
    said = {
        type_: Handler(registry_said, reports.named if READERS[name] is ModelNamed else None)
        for type_, name in PUBLIC_TYPES.items()
    }
    return [
        Subscription(topic_of("registry"), "cleanup", said, by_service("registry")),
        Subscription(
            USAGE_TOPIC,
            "cleanup",
            {MODEL_USED: Handler(reports.used, reports.look_again)},
            by_publishers,
            strict=True,
        ),
    ]
