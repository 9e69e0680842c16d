"""Kafka → command: what registry and artifact say is noted first; then the gates it may change are asked again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from functools import partial

import msgspec

from services.approval import queries
from services.approval.domain import inbound
from services.approval.domain.gate import NoteModel, NoteVersion, stream_of
from services.approval.domain.policy import ApplyPolicy
from services.approval.domain.policy import stream_of as policy_stream
from services.approval.domain.promotion import Evaluate, Expire, Named
from services.approval.projections import EXPIRY, POLICY_CHANGE
from shared.due import DueRow, Worker
from shared.events import Actor, Noted, Source
from shared.kafka import Handler, Malformed, Received, Subscription, by_service
from shared.run import App
from shared.submission import Cause, Submission

OURSELVES = Actor("service:approval")
ASKS_AGAIN = frozenset({"VersionRegistered", "EvaluationRecorded", "PromotionRequested", "VersionRejected", "VersionRecalled", "VersionRetired"})
"""What of a version may change an answer; the other facts about it are only noted."""
ASKS_ALL_AGAIN = frozenset({"ModelRenamed", "TagsChanged", "RolloutChanged", "RolledBack", "EvaluationRecorded"})
"""What may change the answers for every open version of the model."""


def noted(m: Received) -> Noted:
    """The message as approval remembers it. Raises Malformed when a field that approval decides on is missing or wrong."""
    _, service, name, _ = m.event.type.split(".")
    extensions = m.event.extensions
    try:
        inbound.read(name, m.data)
        source = Source(service, m.event.subject, int(extensions["revision"]), name, m.event.id)
    except (msgspec.ValidationError, KeyError, ValueError) as e:
        raise Malformed(f"{m.event.type} lacks what approval decides on: {e}") from None
    return Noted(source, extensions.get("leaf", ""), m.data)


async def note_model(m: Received) -> list[Submission]:
    return [Submission(NoteModel(noted(m)), (stream_of(m.data["model_id"]),), m.cause(), m.actor)]


async def note_version(m: Received) -> list[Submission]:
    return [Submission(NoteVersion(noted(m)), (stream_of(m.data["model_id"], m.data["number"]),), m.cause(), m.actor)]


async def note_evaluation(m: Received) -> list[Submission]:
    """It belongs to its version, and to the model's champion when that is the version."""
    told = noted(m)
    model, version = stream_of(m.data["model_id"]), stream_of(m.data["model_id"], m.data["number"])
    return [
        Submission(NoteVersion(told), (version,), m.cause(), m.actor),
        Submission(NoteModel(told), (model,), m.cause("champion"), m.actor),
    ]


async def ask_version(app: App, m: Received) -> list[Submission]:
    """The gates of the version that the message speaks of."""
    return [await evaluation(app, m.data["model_id"], m.data["number"], m.cause)]


async def ask_all(app: App, m: Received) -> list[Submission]:
    """The gates of every open version of the model."""
    return await _evaluations(app, m.cause, m.data["model_id"])


async def evaluation(app: App, model_id: str, number: int, cause: Callable[[str], Cause]) -> Submission:
    """The command that asks the gates of one version."""
    return _evaluation((model_id, number), await queries.streams_for(app.pool, model_id, number), cause)


async def _evaluations(app: App, cause: Callable[[str], Cause], model_id: str | None = None) -> list[Submission]:
    """Of every open version: of one model, or of all."""
    versions = dict.fromkeys(await queries.open_versions(app.pool, model_id), ())
    return [_evaluation(version, named, cause) for version, named in (await queries.streams_for_all(app.pool, versions)).items()]


def _evaluation(version: queries.Version, named: Named, cause: Callable[[str], Cause]) -> Submission:
    model_id, number = version
    return Submission(Evaluate(model_id, number), named.writes, cause(f"evaluate {model_id}@{number}"), OURSELVES, named.depends_on)


def subscriptions(app: App) -> list[Subscription]:
    """The two topics that approval listens to; in whatever order they arrive, the verdict is the same."""
    return [
        Subscription("regista.registry.events.v1", "approval", _registry(app), by_service("registry")),
        Subscription(
            "regista.artifact.events.v1", "approval",
            {f"regista.artifact.{name}.v1": Handler(note_version, partial(ask_version, app)) for name in inbound.ARTIFACT_EVENTS},
            by_service("artifact"),
        ),
    ]  # fmt: skip


def _registry(app: App) -> dict[str, Handler]:
    follow: dict[str, Callable[[Received], Awaitable[list[Submission]]]] = {name: partial(ask_version, app) for name in ASKS_AGAIN}
    follow |= {name: partial(ask_all, app) for name in ASKS_ALL_AGAIN}
    handlers = {name: Handler(note_model, follow.get(name)) for name in inbound.MODEL_EVENTS}
    handlers |= {name: Handler(note_version, follow.get(name)) for name in inbound.VERSION_EVENTS}
    handlers["EvaluationRecorded"] = Handler(note_evaluation, follow["EvaluationRecorded"])
    return {f"regista.registry.{name}.v1": handler for name, handler in handlers.items()}


async def expire_review(app: App, row: DueRow) -> list[Submission]:
    """The review's time is up."""
    review_id, model_id, number = row.data["promotion_id"], row.data["model_id"], row.data["number"]
    named = await queries.streams_for(app.pool, model_id, number, [review_id])
    return [Submission(Expire(review_id, model_id, number), named.writes, row.cause(), row.actor, named.depends_on)]


async def apply_policy(app: App, row: DueRow) -> list[Submission]:
    """A policy was published: every open gate is asked again, under whichever policy rules it now."""
    name, revision = row.data["name"], row.data["revision"]
    again = await _evaluations(app, row.cause)
    return [*again, Submission(ApplyPolicy(name, revision), (policy_stream(name),), row.cause(), row.actor)]


def workers(app: App) -> list[Worker]:
    return [Worker(EXPIRY, partial(expire_review, app)), Worker(POLICY_CHANGE, partial(apply_policy, app), concurrency=1)]
