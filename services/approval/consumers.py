"""Kafka → command → transact. A message is noted; then the gates that it may change are assessed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from services.approval.domain import noted
from services.approval.domain.version_gates import NoteModel, NoteVersion, stream_of
from services.approval.look_ups import assessment_after_note, assessment_from_states, assessments, is_champion
from shared.deciding import noted_environments as environments
from shared.deciding.events import Noted
from shared.deciding.submission import Submission
from shared.foundation.topics import topic_of
from shared.http.app import App
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_service

CHANGES_VERSION = frozenset(
    {
        noted.VERSION_REGISTERED,
        noted.PROMOTION_REQUESTED,
        noted.PROMOTION_REFUSED,
        noted.VERSION_REJECTED,
        noted.VERSION_REOPENED,
        noted.VERSION_RECALLED,
        noted.VERSION_REINSTATED,
        noted.VERSION_RETIRED,
    }
)
"""Events of a version that may change the verdict of its gates. Its other events are only noted."""
CHANGES_MODEL = frozenset({noted.MODEL_RENAMED, noted.TAGS_CHANGED, noted.ROLLOUT_CHANGED, noted.ROLLED_BACK})
"""Events that may change the verdict of every open version of the model.

An evaluation of a champion may, too.
"""


def subscriptions(app: App) -> list[Subscription]:
    """Return the two topics that approval reads.

    The verdict does not depend on the order of their messages.
    """
    artifact = dict.fromkeys(noted.ARTIFACT_EVENTS, Handler(partial(note_artifact, app)))
    return [
        Subscription(topic_of("registry"), "approval", _registry(app), by_service("registry")),
        Subscription(topic_of("artifact"), "approval", artifact, by_service("artifact")),
    ]


def _registry(app: App) -> dict[str, Handler]:
    follow_ups: dict[str, Callable[[Received], Awaitable[list[Submission]]]] = {
        **dict.fromkeys(CHANGES_VERSION, partial(assess_version, app)),
        **dict.fromkeys(CHANGES_MODEL, partial(assess_model, app)),
    }
    handlers = {type_: Handler(note_model, follow_ups.get(type_)) for type_ in noted.MODEL_EVENTS}
    handlers |= {
        type_: Handler(note_version, follow_ups.get(type_), urgent=type_ == noted.PROMOTION_REQUESTED)
        for type_ in noted.VERSION_EVENTS
    }
    handlers[environments.ENVIRONMENT_CREATED] = Handler(note_environment)
    return handlers | {noted.EVALUATION_RECORDED: Handler(note_evaluation, partial(assess_measured, app))}


def note_of(m: Received) -> Noted:
    """Return the message as approval stores it.

    Raises Malformed when a field that approval decides on is missing or wrong.
    """
    try:
        noted.read(m.event.type, m.data)
    except msgspec.ValidationError as e:
        raise Malformed(f"{m.event.type} lacks what approval decides on: {e}") from None
    return Noted(m.source, m.leaf, m.data)


async def note_environment(m: Received) -> list[Submission]:
    try:
        data = msgspec.json.decode(m.event.data, type=environments.EnvironmentDeclared)
    except msgspec.MsgspecError as e:
        raise Malformed(f"{m.event.type} lacks what approval decides on: {e}") from None
    command = environments.NoteEnvironment(m.source, m.leaf, msgspec.to_builtins(data))
    return [Submission(command, (environments.STREAM,), m.cause(), m.actor)]


async def note_model(m: Received) -> list[Submission]:
    return [Submission(NoteModel(note_of(m)), (stream_of(m.data["model_id"]),), m.cause(), m.actor)]


async def note_version(m: Received) -> list[Submission]:
    note = note_of(m)
    stream = stream_of(m.data["model_id"], m.data["number"])
    return [Submission(NoteVersion(note), (stream,), m.cause(), m.actor)]


async def note_artifact(app: App, m: Received) -> list[Submission]:
    """Note it and assess the gates in the same transaction: artifact reports once about most versions.

    A follow-up, which takes another transaction, pays where one batch has several messages about a version.
    """
    notes = await note_version(m)
    return [*notes, assessment_from_states(app, m.data["model_id"], m.data["number"], m.cause)]


async def note_evaluation(m: Received) -> list[Submission]:
    """Note it for its version, and for the model, which keeps it if the version is a champion."""
    note = note_of(m)
    model, version = stream_of(m.data["model_id"]), stream_of(m.data["model_id"], m.data["number"])
    return [
        Submission(NoteVersion(note), (version,), m.cause(), m.actor),
        Submission(NoteModel(note), (model,), m.cause("champion"), m.actor),
    ]


async def assess_version(app: App, m: Received) -> list[Submission]:
    """Assess the gates of the version that the message is about."""
    return assessment_after_note(app, m.data["model_id"], m.data["number"], m.cause)


async def assess_model(app: App, m: Received) -> list[Submission]:
    """Assess the gates of every open version of the model."""
    return await assessments(app, m.cause, m.data["model_id"])


async def assess_measured(app: App, m: Received) -> list[Submission]:
    """Assess the gates of the version that was measured; of every open version if it is a champion."""
    if is_champion(app, m.data["model_id"], m.data["number"]):
        return await assess_model(app, m)
    return await assess_version(app, m)
