"""Turn the registry's events about models, and publishers' reports of use, into commands."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec

from services.cleanup.domain.noted import PUBLIC_TYPES, READERS, ModelNamed, read_message
from services.cleanup.domain.retention import stream_of
from services.cleanup.domain.retention_commands import NoteRegistryEvent
from services.cleanup.due_work import schedule_next
from services.cleanup.inbound import MODEL_USED, USAGE_TOPIC
from services.cleanup.look_ups import for_environment
from services.cleanup.parts import Parts
from shared.deciding import noted_environments as environments
from shared.deciding.noted_environments import EnvironmentDeclared, NoteEnvironment
from shared.deciding.submission import Submission
from shared.foundation.topics import bound_topic, topic_of
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_publishers, by_service

if TYPE_CHECKING:
    from shared.http.app import App

NUL = b"\\u0000"


def subscriptions(app: App) -> list[Subscription]:
    """Return what this service reads: the registry's events and reports of use."""
    notes = {
        type_: Handler(note, partial(place_reports, app) if READERS[name] is ModelNamed else None)
        for type_, name in PUBLIC_TYPES.items()
    }
    notes[environments.ENVIRONMENT_CREATED] = Handler(note_environment, partial(place_reports_of, app))
    use = {MODEL_USED: Handler(partial(record_use, app), partial(look_up_again, app))}
    return [
        Subscription(topic_of("registry"), "cleanup", notes, by_service("registry")),
        *(
            Subscription(bound_topic(USAGE_TOPIC, n), "cleanup", use, by_publishers, strict=True, namespace=n)
            for n in ("", *app.settings.kafka_namespaces)
        ),
    ]


async def note(m: Received) -> Sequence[Submission]:
    """Note one of the registry's events. A registered model also schedules next month's cleanup run."""
    try:
        if NUL in m.event.data:
            raise Malformed("a text holds the character NUL, which PostgreSQL cannot store")
        recorded_at = msgspec.convert(m.event.extensions.get("recordedtime", m.event.time), datetime)
        data = read_message(m.event.type, m.event.data, recorded_at)
    except msgspec.MsgspecError as e:
        raise Malformed(f"the data is not of the shape that cleanup reads of {m.event.type}: {e}") from e
    command = NoteRegistryEvent(m.source, m.leaf, msgspec.to_builtins(data))
    noted = Submission(command, (stream_of(data.model_id),), m.cause(), m.actor)
    if PUBLIC_TYPES[m.event.type] != "ModelRegistered":
        return [noted]
    return [noted, schedule_next(datetime.now(UTC))]


async def place_reports(app: App, m: Received) -> Sequence[Submission]:
    """Place the reports that wait for the name of a model that was just noted."""
    data = read_message(m.event.type, m.event.data, datetime.now(UTC))
    if not isinstance(data, ModelNamed):
        return ()
    return await app.parts_as(Parts).reports.place_waiting(data.model)


async def note_environment(m: Received) -> Sequence[Submission]:
    """Note that the registry declared an environment."""
    try:
        data = msgspec.json.decode(m.event.data, type=EnvironmentDeclared)
    except msgspec.MsgspecError as e:
        raise Malformed(f"the data is not of the shape that cleanup reads of {m.event.type}: {e}") from e
    command = NoteEnvironment(m.source, m.leaf, msgspec.to_builtins(data))
    return [Submission(command, (environments.STREAM,), m.cause(), m.actor)]


async def place_reports_of(app: App, m: Received) -> Sequence[Submission]:
    """Place the reports that wait for an environment that was just noted."""
    declared = msgspec.json.decode(m.event.data, type=EnvironmentDeclared)
    return await app.parts_as(Parts).reports.place_waiting(for_environment(declared.name))


async def record_use(app: App, m: Received) -> Sequence[Submission]:
    """Count the uses that a publisher reports."""
    return await app.parts_as(Parts).reports.record(m)


async def look_up_again(app: App, m: Received) -> Sequence[Submission]:
    """Place a report whose model was noted while it was being held."""
    return await app.parts_as(Parts).reports.look_up_again(m)
