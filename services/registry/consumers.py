"""Kafka → command: what publishers trained, and what the other services decided or found out."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial

import msgspec
from pydantic import ValidationError

from services.registry import queries
from services.registry.domain import noted
from services.registry.domain.model.state import stream_of
from services.registry.domain.promotion.promotion import DenyPromotion, GrantPromotion
from services.registry.domain.promotion.verdicts import NoteArtifact, NoteGates
from services.registry.domain.registration.metadata import Metadata
from services.registry.domain.retirement import RetireVersion
from services.registry.inbound import MODEL_TRAINED, TRAINING_TOPIC, ModelTrained, read
from services.registry.look_ups import streams
from services.registry.parts import Parts
from shared.deciding.decider import Unprocessable
from shared.deciding.events import Noted
from shared.deciding.submission import Submission
from shared.foundation.topics import topic_of
from shared.http.app import App
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_publishers, by_service

GROUP = "registry"


def subscriptions(app: App) -> list[Subscription]:
    """The four topics that the registry listens to."""
    decided = {
        noted.GATES_EVALUATED: NoteGates,
        noted.PROMOTION_GRANTED: GrantPromotion,
        noted.PROMOTION_DENIED: DenyPromotion,
    }
    handlers: dict[str, Callable[[Received], Awaitable[Sequence[Submission]]]] = {
        type_: partial(note, made) for type_, made in decided.items()
    }
    return [
        Subscription(
            TRAINING_TOPIC, GROUP, {MODEL_TRAINED: Handler(partial(trained, app))}, by_publishers, strict=True
        ),
        Subscription(
            topic_of("approval"),
            GROUP,
            {type_: Handler(prepare) for type_, prepare in handlers.items()},
            by_service("approval"),
        ),
        Subscription(
            topic_of("artifact"),
            GROUP,
            dict.fromkeys(noted.ARTIFACT_STATES, Handler(bytes_changed)),
            by_service("artifact"),
        ),
        Subscription(
            topic_of("cleanup"),
            GROUP,
            {noted.RETIREMENT_PROPOSED: Handler(partial(proposed, app))},
            by_service("cleanup"),
        ),
    ]


async def trained(app: App, m: Received) -> list[Submission]:
    """A version of the model that the message names.

    The role of its publisher there is checked with the command.
    """
    try:
        ModelTrained.model_validate_json(m.event.data)
        told = read(m.event.data)
        return [await app.parts_as(Parts).intake.registration(told.model, told, m.cause(), m.actor)]
    except ValidationError as wrong:
        raise Malformed.in_shape(wrong) from None
    except Unprocessable as wrong:
        raise Malformed(wrong.detail) from None


def the_note(m: Received) -> Noted:
    """The message as the registry remembers it.

    Raises Malformed when something is missing that the registry decides on.
    """
    remembered = Noted(m.source, m.leaf, m.data)
    try:
        noted.read(remembered)
    except msgspec.ValidationError as wrong:
        raise Malformed(f"{m.event.type} lacks what the registry decides on: {wrong}") from None
    return remembered


async def note(command: Callable[[str, Noted], object], m: Received) -> list[Submission]:
    """A decision about one version."""
    remembered = the_note(m)
    model_id = m.data["model_id"]
    return [Submission(command(model_id, remembered), (stream_of(model_id),), m.cause(), m.actor)]


async def bytes_changed(m: Received) -> list[Submission]:
    """News about one version's bytes, or their end, for each model that had a version with them."""
    remembered = the_note(m)
    told = noted.read(remembered)
    models = (
        [told.model_id]
        if isinstance(told, noted.ArtifactNews)
        else sorted({v.model_id for v in told.versions})
    )
    return [
        Submission(NoteArtifact(model_id, remembered), (stream_of(model_id),), m.cause(model_id), m.actor)
        for model_id in models
    ]


async def proposed(app: App, m: Received) -> list[Submission]:
    """The retirement of a version, with the streams of what it was made from."""
    remembered = the_note(m)
    model_id, number = m.data["model_id"], m.data["number"]
    row = await app.pool.fetchrow(queries.DOCUMENT, model_id, number)
    document = queries.document(row["stored"]) if row else Metadata()
    reason = str(m.data.get("reason", ""))
    return [
        Submission(
            RetireVersion(model_id, remembered),
            streams((stream_of(model_id),), document),
            m.cause(),
            m.actor,
            reason=reason,
        )
    ]
