"""What the registry says → what this service notes.

A version's registration is noted first; everything later about it follows after the batch has committed, when
its digest can be looked up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any, TypeVar

import msgspec

from services.artifact import queries
from services.artifact.domain import noted
from services.artifact.domain.artifact import (
    NoteEnded,
    NotePromotion,
    NoteRecalled,
    NoteRegistered,
    NoteServing,
)
from services.artifact.domain.manifest import claim
from services.artifact.domain.noted import Message
from services.artifact.domain.places import NoSuchPlace, hex_of, stream_of, stream_of_hex
from services.artifact.settings import ArtifactSettings
from shared.deciding.submission import Submission
from shared.foundation.topics import topic_of
from shared.http.app import App
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_service

T = TypeVar("T")
Follow = Callable[[App, Received], Awaitable[Sequence[Submission]]]


def subscriptions(app: App, settings: ArtifactSettings) -> list[Subscription]:
    """The registry's events."""
    after: dict[str, Follow] = {
        noted.RETIRED: ended,
        noted.REJECTED: ended,
        noted.RECALLED: recalled,
        noted.ROLLOUT_CHANGED: serving,
        noted.ROLLED_BACK: serving,
        noted.PROMOTION_REQUESTED: promotion,
    }
    handlers = {type_: Handler(_later, follow_up=partial(follow, app)) for type_, follow in after.items()}
    handlers[noted.REGISTERED] = Handler(partial(registered, settings))
    return [Subscription(topic_of("registry"), "artifact", handlers, by_service("registry"))]


async def registered(settings: ArtifactSettings, m: Received) -> list[Submission]:
    """A version refers to an artifact, unless its kind has none."""
    told = _told(m, noted.VersionRegistered)
    if told.artifact is None:
        return []
    claimed = told.artifact
    try:
        stream = stream_of(claimed.digest)
    except NoSuchPlace as e:
        raise Malformed(str(e)) from e
    made = claim(
        told.model_id,
        told.model,
        told.number,
        claimed.digest,
        claimed.files,
        claimed.location,
        settings.limits,
    )
    return [Submission(NoteRegistered(_message(m, told), made), (stream,), m.cause(), m.actor)]


async def ended(app: App, m: Received) -> list[Submission]:
    """A version refers to nothing any more."""
    told = _told(m, noted.VersionEnded)
    digest = await _digest(app, told.model_id, told.number, told.artifact_digest)
    return (
        [
            Submission(
                NoteEnded(_message(m, told), told.model_id, told.number),
                (stream_of(digest),),
                m.cause(),
                m.actor,
            )
        ]
        if digest
        else []
    )


async def recalled(app: App, m: Received) -> list[Submission]:
    """A version must not be loaded any more."""
    told = _told(m, noted.VersionRecalled)
    digest = await _digest(app, told.model_id, told.number, told.artifact_digest)
    if not digest:
        return []
    command = NoteRecalled(_message(m, told), digest, told.model_id, told.number, told.reason)
    return [Submission(command, (stream_of(digest),), m.cause(), m.actor)]


async def serving(app: App, m: Received) -> list[Submission]:
    """Versions serve, or served until now: each artifact notes its own."""
    told = _told(m, noted.RolloutChanged)
    message = _message(m, told)
    return [
        Submission(
            NoteServing(message, told.model_id, numbers), (stream_of_hex(hex_),), m.cause(hex_), m.actor
        )
        for hex_, numbers in (await queries.hexes_of(app.pool, told.model_id, told.numbers)).items()
    ]


async def promotion(app: App, m: Received) -> list[Submission]:
    """A version is to serve: its bytes are looked at again."""
    told = _told(m, noted.PromotionRequested)
    digest = await _digest(app, told.model_id, told.number, None)
    return (
        [
            Submission(
                NotePromotion(_message(m, told), told.model_id, told.number),
                (stream_of(digest),),
                m.cause(),
                m.actor,
            )
        ]
        if digest
        else []
    )


async def _later(_: Received) -> list[Submission]:
    return []


async def _digest(app: App, model_id: str, number: int, told: str | None) -> str | None:
    """The digest a version was noted with, else the one the message tells."""
    if known := await queries.hex_of(app.pool, model_id, number):
        return f"sha256:{known}"
    try:
        return f"sha256:{hex_of(told)}" if told else None
    except NoSuchPlace as e:
        raise Malformed(str(e)) from e


def _told(m: Received, type_: type[T]) -> T:
    try:
        return msgspec.convert(m.data, type_)
    except msgspec.ValidationError as e:
        raise Malformed(f"the data is not of {m.event.type}: {e}") from e


def _message(m: Received, told: Any) -> Message:
    return Message(m.source, m.leaf, told)
