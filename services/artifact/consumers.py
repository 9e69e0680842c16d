"""Turn the registry's events into commands.

The registration of a version is noted first. Whatever follows about the version is prepared after the batch
has committed, when the version's digest can be looked up.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import TypeVar

import msgspec

from services.artifact import look_ups, queries
from services.artifact.domain import noted
from services.artifact.domain.artifact_commands import (
    ArtifactCommand,
    NoteEnded,
    NotePromotion,
    NoteRecalled,
    NoteRegistered,
    NoteReinstated,
    NoteServing,
)
from services.artifact.domain.manifest import claim
from services.artifact.domain.noted import Message, RegistryData
from services.artifact.domain.object_keys import BadLocation, stream_of, stream_of_hex
from services.artifact.parts import Parts
from shared.deciding.submission import Submission
from shared.foundation.topics import topic_of
from shared.http.app import App
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_service

T = TypeVar("T", bound=RegistryData)
NUL = b"\\u0000"
FollowUp = Callable[[App, Received], Awaitable[Sequence[Submission]]]


def subscriptions(app: App) -> list[Subscription]:
    """Return what this service reads: the registry's events."""
    follow_ups: dict[str, FollowUp] = {
        noted.RETIRED: note_ended,
        noted.REJECTED: note_ended,
        noted.RECALLED: note_recalled,
        noted.REINSTATED: note_reinstated,
        noted.ROLLOUT_CHANGED: note_serving,
        noted.ROLLED_BACK: note_serving,
        noted.PROMOTION_REQUESTED: note_promotion,
    }
    urgent = {noted.RECALLED, noted.REINSTATED}
    handlers = {
        type_: Handler(_nothing_yet, partial(prepare, app), urgent=type_ in urgent)
        for type_, prepare in follow_ups.items()
    }
    for registered in (noted.REGISTERED, noted.DRAFT_REGISTERED):
        handlers[registered] = Handler(partial(note_registered, app))
    return [Subscription(topic_of("registry"), "artifact", handlers, by_service("registry"))]


async def note_registered(app: App, m: Received) -> list[Submission]:
    """Note that a version refers to an artifact. Kinds without an artifact need no note."""
    data = _read(m, noted.VersionRegistered)
    if data.artifact is None:
        return []
    digest, files, location = data.artifact.digest, data.artifact.files, data.artifact.location
    try:
        stream = stream_of(digest)
    except BadLocation as e:
        raise Malformed(str(e)) from e
    limits = app.parts_as(Parts).settings.limits
    claimed = claim(data.model_id, data.model, data.number, digest, files, location, limits)
    proof = await look_ups.proof_of(app, data.makers, data.artifact)
    return [_submission(m, stream, NoteRegistered(_message(m, data), claimed, proof))]


async def note_ended(app: App, m: Received) -> list[Submission]:
    """Note that a version was retired or rejected."""
    data = _read(m, noted.VersionEnded)
    digest = await look_ups.digest_of(app, data.model_id, data.number, data.artifact_digest)
    if not digest:
        return []
    return [_submission(m, stream_of(digest), NoteEnded(_message(m, data), data.model_id, data.number))]


async def note_recalled(app: App, m: Received) -> list[Submission]:
    """Note that a version must no longer be loaded."""
    data = _read(m, noted.VersionRecalled)
    digest = await look_ups.digest_of(app, data.model_id, data.number, data.artifact_digest)
    if not digest:
        return []
    command = NoteRecalled(_message(m, data), digest, data.model_id, data.number, data.reason)
    return [_submission(m, stream_of(digest), command)]


async def note_reinstated(app: App, m: Received) -> list[Submission]:
    """Note that the withdrawal of a version was reversed."""
    data = _read(m, noted.VersionRecalled)
    digest = await look_ups.digest_of(app, data.model_id, data.number, data.artifact_digest)
    if not digest:
        return []
    command = NoteReinstated(_message(m, data), digest, data.model_id, data.number)
    return [_submission(m, stream_of(digest), command)]


async def note_serving(app: App, m: Received) -> list[Submission]:
    """Note on each artifact which of its versions serve or served."""
    data = _read(m, noted.RolloutChanged)
    message = _message(m, data)
    by_artifact = await queries.hexes_of(app.pool, data.model_id, data.numbers)
    return [
        _submission(m, stream_of_hex(hex_), NoteServing(message, data.model_id, numbers), part=hex_)
        for hex_, numbers in by_artifact.items()
    ]


async def note_promotion(app: App, m: Received) -> list[Submission]:
    """Note that the promotion of a version was requested."""
    data = _read(m, noted.PromotionRequested)
    digest = await look_ups.digest_of(app, data.model_id, data.number, None)
    if not digest:
        return []
    command = NotePromotion(_message(m, data), data.model_id, data.number)
    return [_submission(m, stream_of(digest), command)]


async def _nothing_yet(_: Received) -> list[Submission]:
    return []


def _submission(m: Received, stream: str, command: ArtifactCommand, *, part: str = "") -> Submission:
    return Submission(command, (stream,), m.cause(part), m.actor)


def _read(m: Received, type_: type[T]) -> T:
    """Return the fields that this service reads; the others are not decoded. Raises Malformed."""
    if NUL in m.event.data:
        raise Malformed("a text holds the character NUL, which PostgreSQL cannot store")
    try:
        return msgspec.json.decode(m.event.data, type=type_)
    except msgspec.MsgspecError as e:
        raise Malformed(f"the data is not of {m.event.type}: {e}") from e


def _message(m: Received, data: RegistryData) -> Message:
    return Message(m.source, m.leaf, data)
