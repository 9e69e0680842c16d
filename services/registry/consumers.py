"""Kafka → command: what publishers trained, and the decisions and reports of the other services."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial

import msgspec
from pydantic import ValidationError

from services.registry import queries
from services.registry.domain import noted
from services.registry.domain.model.metadata import Metadata
from services.registry.domain.model.state import stream_of
from services.registry.domain.naming import selection
from services.registry.domain.promotion.promotion import DenyPromotion, GrantPromotion
from services.registry.domain.serving.after_review import NoteAfterReview
from services.registry.domain.validation.gate_verdicts import NoteArtifact, NoteGates
from services.registry.domain.withdrawal.retirement import RetireVersion
from services.registry.inbound import MODEL_TRAINED, TRAINING_TOPIC
from services.registry.lineage import queries as lineage
from services.registry.look_ups import written_streams
from services.registry.parts import Parts
from services.registry.trained_message import TrainedMessage, read
from shared.deciding.access import ANY_ROLE, permits
from shared.deciding.decider import NotFound, Unprocessable
from shared.deciding.events import Actor, Noted
from shared.deciding.submission import Submission
from shared.foundation.topics import bound_topic, topic_of
from shared.http.app import App
from shared.messaging.kafka import Handler, Malformed, Received, Subscription, by_publishers, by_service

GROUP = "registry"

Prepare = Callable[[Received], Awaitable[Sequence[Submission]]]


def subscriptions(app: App) -> list[Subscription]:
    """Return what the registry reads: messages of publishers, and the events of three services."""
    trained = {MODEL_TRAINED: Handler(partial(register_trained, app))}
    return [
        *(
            Subscription(
                bound_topic(TRAINING_TOPIC, n), GROUP, trained, by_publishers, strict=True, namespace=n
            )
            for n in ("", *app.settings.kafka_namespaces)
        ),
        _of_service(
            "approval",
            {
                noted.GATES_EVALUATED: partial(note_decision, NoteGates),
                noted.PROMOTION_GRANTED: partial(grant_promotion, app),
                noted.PROMOTION_DENIED: partial(note_decision, DenyPromotion),
                noted.POLICY_PUBLISHED: note_policy,
                noted.OVERRIDE_REVIEWED: partial(note_after_review, app),
            },
        ),
        _of_service("artifact", dict.fromkeys(noted.ARTIFACT_STATES, note_artifact)),
        _of_service("cleanup", {noted.RETIREMENT_PROPOSED: partial(retire_version, app)}),
    ]


def _of_service(service: str, prepare: Mapping[str, Prepare]) -> Subscription:
    urgent = {noted.PROMOTION_GRANTED, noted.PROMOTION_DENIED}
    handlers = {type_: Handler(one, urgent=type_ in urgent) for type_, one in prepare.items()}
    return Subscription(topic_of(service), GROUP, handlers, by_service(service))


async def register_trained(app: App, m: Received) -> list[Submission]:
    """Register a version of the model that the message names.

    The command checks the publisher's role there. Models that the publisher may not read do not exist for it.
    """
    look_ups = app.parts_as(Parts).look_ups
    try:
        message = read(m.event.data)
        await _check_models(app, message, m.actor)
        return [await look_ups.registration(message.model, message, m.cause(), m.actor)]
    except ValidationError as wrong:
        raise Malformed.in_shape(wrong) from None
    except Unprocessable as wrong:
        raise Malformed(wrong.detail) from None


async def _check_models(app: App, message: TrainedMessage, signer: Actor) -> None:
    """Raise NotFound when the message names a model that its signer may not read, or an unknown id.

    A role may have been granted a moment ago, so identities are read again before.
    """
    look_ups = app.parts_as(Parts).look_ups

    def may_read(namespace: str) -> bool:
        return permits(app.access.identities.acting(signer), ANY_ROLE, namespace)

    for last in (False, True):
        try:
            await look_ups.check_model(message.model, may_read)
            await look_ups.check_parents(message, may_read)
        except NotFound:
            if last:
                raise
            await app.access.catch_up()
        else:
            return


def make_note(m: Received) -> Noted:
    """Return the note of a message, with the fields that the registry reads.

    Raise Malformed when a field is missing that the registry decides on.
    """
    note = Noted(m.source, m.leaf, noted.kept(m.event.type, m.data))
    try:
        noted.read(note)
    except msgspec.ValidationError as wrong:
        raise Malformed(f"{m.event.type} lacks what the registry decides on: {wrong}") from None
    return note


async def note_decision(command: Callable[[str, Noted], object], m: Received) -> list[Submission]:
    """Note what approval decided about one version."""
    note = make_note(m)
    model_id = note.data["model_id"]
    return [Submission(command(model_id, note), (stream_of(model_id),), m.cause(), m.actor)]


async def note_policy(m: Received) -> list[Submission]:
    """Note a policy. The descriptions of models select by it."""
    return [Submission(selection.NotePolicy(make_note(m)), (selection.STREAM,), m.cause(), m.actor)]


async def note_after_review(app: App, m: Received) -> list[Submission]:
    """Note that an override was reviewed. One that was not justified ends the version's grant."""
    note = make_note(m)
    model_id = note.data["model_id"]
    command = NoteAfterReview(model_id, note, await lineage.doubts(app.pool, model_id))
    return [Submission(command, (stream_of(model_id),), m.cause(), m.actor)]


async def grant_promotion(app: App, m: Received) -> list[Submission]:
    """Grant a promotion, unless a version that it was made from was withdrawn since the request."""
    note = make_note(m)
    granted: noted.PromotionGranted = noted.read(note)
    withdrawn = await lineage.recalled_ancestors(app.pool, granted.model_id, granted.number)
    command = GrantPromotion(granted.model_id, note, withdrawn)
    return [Submission(command, (stream_of(granted.model_id),), m.cause(), m.actor)]


async def note_artifact(m: Received) -> list[Submission]:
    """Note a report on one version's bytes, or the end of bytes for each model that had them."""
    note = make_note(m)
    report: noted.ArtifactReport | noted.ArtifactEnded = noted.read(note)
    models = (
        [report.model_id]
        if isinstance(report, noted.ArtifactReport)
        else sorted({v.model_id for v in report.versions})
    )
    return [
        Submission(NoteArtifact(model_id, note), (stream_of(model_id),), m.cause(model_id), m.actor)
        for model_id in models
    ]


async def retire_version(app: App, m: Received) -> list[Submission]:
    """Retire a version that cleanup proposed. The streams of its parents are written, too."""
    note = make_note(m)
    proposal: noted.RetirementProposed = noted.read(note)
    row = await app.pool.fetchrow(queries.DOCUMENT, proposal.model_id, proposal.number)
    document = queries.document(row["stored"]) if row else Metadata()
    return [
        Submission(
            RetireVersion(proposal.model_id, note, await lineage.doubts(app.pool, proposal.model_id)),
            written_streams((stream_of(proposal.model_id),), document),
            m.cause(),
            m.actor,
            reason=proposal.reason,
        )
    ]
