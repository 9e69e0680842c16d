"""Messages → commands: what registry says about models, and what publishers say about use."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING

import msgspec
from pydantic import ValidationError

from services.cleanup import queries
from services.cleanup.contracts import MODEL_USED, USAGE_TOPIC, ModelUsed
from services.cleanup.domain.noted import PUBLIC_TYPES, RECORDED, read
from services.cleanup.domain.retention import NoteRegistryEvent, stream_of
from services.cleanup.due_work import schedule_next
from shared.access import namespace_of
from shared.kafka import Handler, Malformed, Received, Subscription, by_publishers, by_service
from shared.submission import Permission, Submission
from shared.topics import topic_of

if TYPE_CHECKING:
    from shared.run import App


async def registry_said(m: Received) -> Sequence[Submission]:
    """Notes one of registry's events. A model's birth also makes sure that the coming month's sweep is scheduled."""
    data = {**m.data, RECORDED: m.event.extensions.get("recordedtime", m.event.time)}
    try:
        fact = read(m.event.type, data)
    except msgspec.ValidationError as e:
        raise Malformed(f"not the shape that cleanup knows of {m.event.type}: {e}") from e
    note = NoteRegistryEvent(m.source, m.leaf, data)
    noted = Submission(note, (stream_of(fact.model_id),), m.cause(), m.actor)
    return [noted, schedule_next(datetime.now(UTC))] if PUBLIC_TYPES[m.event.type] == "ModelRegistered" else [noted]


async def used(app: App, m: Received) -> Sequence[Submission]:
    """A publisher counted uses of a version."""
    try:
        said = ModelUsed.model_validate_json(m.event.data, strict=True)
    except ValidationError as e:
        raise Malformed("; ".join(f"{'.'.join(map(str, x['loc']))}: {x['msg']}" for x in e.errors(include_input=False))) from e
    known = await queries.model(app.pool, said.model_id or said.model)
    if known is None and said.model_id is None:
        raise Malformed(f"no model is named {said.model!r}; replay the message once it is registered, or send its model_id")
    command = said.to_domain(known.model_id if known else str(said.model_id))
    namespace = namespace_of(known.name if known else said.model)
    return [Submission(command, (stream_of(command.model_id),), m.cause(), m.actor, permission=Permission("publisher", namespace))]


def subscriptions(app: App) -> list[Subscription]:
    """What cleanup listens to."""
    return [
        Subscription(topic_of("registry"), "cleanup", dict.fromkeys(PUBLIC_TYPES, Handler(registry_said)), by_service("registry")),
        Subscription(USAGE_TOPIC, "cleanup", {MODEL_USED: Handler(partial(used, app))}, by_publishers, strict=True),
    ]
