"""Kafka → command: what registry and artifact say is noted first; then the gates it may change are asked again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from services.approval import queries
from services.approval.domain import noted
from services.approval.domain.gate import NoteModel, NoteVersion, stream_of
from services.approval.look_ups import evaluation, evaluations
from shared.deciding.events import Noted
from shared.deciding.submission import Submission
from shared.foundation.topics import topic_of
from shared.http.app import App
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_service

ASKS_AGAIN = frozenset(
    {
        noted.VERSION_REGISTERED,
        noted.PROMOTION_REQUESTED,
        noted.PROMOTION_REFUSED,
        noted.VERSION_REJECTED,
        noted.VERSION_RECALLED,
        noted.VERSION_RETIRED,
    }
)
"""What of a version may change an answer; the other facts about it are only noted."""
ASKS_ALL_AGAIN = frozenset(
    {noted.MODEL_RENAMED, noted.TAGS_CHANGED, noted.ROLLOUT_CHANGED, noted.ROLLED_BACK}
)
"""What may change the answers for every open version of the model; an evaluation may, too, when it is one of a champion."""


def subscriptions(app: App) -> list[Subscription]:
    """The two topics that approval listens to; in whatever order they arrive, the verdict is the same."""
    return [
        Subscription(topic_of("registry"), "approval", _registry(app), by_service("registry")),
        Subscription(
            topic_of("artifact"),
            "approval",
            {type_: Handler(note_version, partial(ask_version, app)) for type_ in noted.ARTIFACT_EVENTS},
            by_service("artifact"),
        ),
    ]


def _registry(app: App) -> dict[str, Handler]:
    follow: dict[str, Callable[[Received], Awaitable[list[Submission]]]] = dict.fromkeys(
        ASKS_AGAIN, partial(ask_version, app)
    )
    follow |= dict.fromkeys(ASKS_ALL_AGAIN, partial(ask_all, app))
    handlers = {type_: Handler(note_model, follow.get(type_)) for type_ in noted.MODEL_EVENTS}
    handlers |= {type_: Handler(note_version, follow.get(type_)) for type_ in noted.VERSION_EVENTS}
    return handlers | {
        noted.EVALUATION_RECORDED: Handler(note_evaluation, partial(ask_whom_it_measures, app))
    }


def note_of(m: Received) -> Noted:
    """The message as approval remembers it.

    Raises Malformed when a field that approval decides on is missing or wrong.
    """
    try:
        noted.read(m.event.type, m.data)
    except msgspec.ValidationError as e:
        raise Malformed(f"{m.event.type} lacks what approval decides on: {e}") from None
    return Noted(m.source, m.leaf, m.data)


async def note_model(m: Received) -> list[Submission]:
    return [Submission(NoteModel(note_of(m)), (stream_of(m.data["model_id"]),), m.cause(), m.actor)]


async def note_version(m: Received) -> list[Submission]:
    return [
        Submission(
            NoteVersion(note_of(m)), (stream_of(m.data["model_id"], m.data["number"]),), m.cause(), m.actor
        )
    ]


async def note_evaluation(m: Received) -> list[Submission]:
    """It belongs to its version, and to the model's champion when that is the version."""
    note = note_of(m)
    model, version = stream_of(m.data["model_id"]), stream_of(m.data["model_id"], m.data["number"])
    return [
        Submission(NoteVersion(note), (version,), m.cause(), m.actor),
        Submission(NoteModel(note), (model,), m.cause("champion"), m.actor),
    ]


async def ask_version(app: App, m: Received) -> list[Submission]:
    """The gates of the version that the message speaks of."""
    return [await evaluation(app, m.data["model_id"], m.data["number"], m.cause)]


async def ask_all(app: App, m: Received) -> list[Submission]:
    """The gates of every open version of the model."""
    return await evaluations(app, m.cause, m.data["model_id"])


async def ask_whom_it_measures(app: App, m: Received) -> list[Submission]:
    """The gates of the version that was measured; those of every open version only where they are compared with it."""
    compared = await app.pool.fetchval(queries.IS_CHAMPION, m.data["model_id"], m.data["number"])
    return await ask_all(app, m) if compared else await ask_version(app, m)
