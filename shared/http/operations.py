"""Serve the routes that every service has for its operators, and those of its dead letters."""

from __future__ import annotations

from typing import TYPE_CHECKING

import msgspec
from aiokafka.errors import TopicAuthorizationFailedError
from pydantic import Field
from starlette.responses import Response

from shared.deciding.access import ANY_ROLE, EVERYWHERE
from shared.deciding.decider import NotFound
from shared.foundation.topics import source_of
from shared.http.measured import exposition
from shared.http.openapi import document
from shared.http.problems import Problem
from shared.http.routes import Body, Call, Reply, Route
from shared.messaging.dead_letter_records import DeadLetter, DeadLetterDetail, DeadLetterGroup
from shared.messaging.dead_letters import OriginalGone
from shared.messaging.kafka_errors import KAFKA_ERRORS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from aiokafka import ConsumerRecord

TAGS = ("operations",)


class DeadLetterQuery(Body):
    topic: str = Field(default="", max_length=249)
    limit: int = Field(default=50, ge=1, le=500)
    replayed: bool = False
    dismissed: bool = False


class DeadLetterGroupQuery(Body):
    topic: str = Field(default="", max_length=249)


class Dismissal(Body):
    """Why the dead letter needs no replay."""

    reason: str = Field(min_length=1, max_length=1000)


class ReplayQuery(Body):
    """Why the message can be accepted now. It stays with the dead letter."""

    reason: str = Field(default="", max_length=1000)


class DeadLetterList(msgspec.Struct):
    """Dead letters, the newest first."""

    items: list[DeadLetter]


class DeadLetterGroups(msgspec.Struct):
    """Open dead letters by topic, consumer group, code and signer, the largest group first."""

    items: list[DeadLetterGroup]


class Dismissed(msgspec.Struct):
    """The dead letter that was dismissed."""

    id: str


class Replayed(msgspec.Struct):
    """The topic to which the original message was sent again."""

    id: str
    topic: str


async def liveness(call: Call) -> Reply:
    """Answer that all parts of the process run, or 503 with the one that ended.

    Readiness reports whether they can work.
    """
    ended = call.app.readiness.ended
    return Reply(
        {"alive": not ended, "service": call.app.name, **({"ended": ended} if ended else {})},
        status=503 if ended else 200,
    )


async def readiness(call: Call) -> Reply:
    """Answer 503 with the reasons while a part of the process cannot work."""
    reasons = call.app.readiness.reasons
    return Reply(
        {"ready": not reasons, "service": call.app.name, "reasons": reasons}, status=503 if reasons else 200
    )


async def metrics(_call: Call) -> Response:
    return exposition()


async def service_urls(call: Call) -> Reply:
    """Return the public URL of each service, so that a client needs the URL of one only."""
    return Reply(
        {"service": call.app.name, "services": call.app.settings.public_urls, "openapi": "/openapi.json"}
    )


def openapi_route(routes: Sequence[Route]) -> Route:
    """Return the route of the OpenAPI document of `routes` and OPERATIONS.

    The first request builds the document.
    """
    made: list[bytes] = []

    async def openapi(call: Call) -> Reply:
        if not made:
            made.append(msgspec.json.encode(document(call.app.name, [*routes, *OPERATIONS])))
        return Reply(made[0])

    return Route("GET", "/openapi.json", openapi, "This document", tags=TAGS, public=True)


async def list_dead_letters(call: Call) -> Reply:
    call.require(ANY_ROLE, EVERYWHERE)
    try:
        items = await call.app.dead_letters.newest(
            call.query.limit,
            topic=call.query.topic,
            replayed=call.query.replayed,
            dismissed=call.query.dismissed,
        )
    except (*KAFKA_ERRORS, TimeoutError) as error:
        raise _kafka_unavailable() from error
    return Reply(DeadLetterList(items))


async def list_dead_letter_groups(call: Call) -> Reply:
    call.require(ANY_ROLE, EVERYWHERE)
    try:
        items = await call.app.dead_letters.groups(topic=call.query.topic)
    except (*KAFKA_ERRORS, TimeoutError) as error:
        raise _kafka_unavailable() from error
    return Reply(DeadLetterGroups(items))


async def dismiss_dead_letter(call: Call) -> Reply:
    """Close the dead letter without a replay. It is listed again when its message is refused again."""
    call.require("engineer", EVERYWHERE)
    dead_letters = call.app.dead_letters
    try:
        record: ConsumerRecord | None = await dead_letters.find(call.path["id"])
        if record is None:
            raise _no_such_dead_letter(call)
        await dead_letters.dismiss(record, call.actor.subject, call.body.reason)
    except (*KAFKA_ERRORS, TimeoutError) as error:
        raise _kafka_unavailable() from error
    return Reply(Dismissed(call.path["id"]))


async def get_dead_letter(call: Call) -> Reply:
    call.require(ANY_ROLE, EVERYWHERE)
    try:
        shown = await call.app.dead_letters.show(call.path["id"])
    except (*KAFKA_ERRORS, TimeoutError) as error:
        raise _kafka_unavailable() from error
    if shown is None:
        raise _no_such_dead_letter(call)
    return Reply(shown)


async def replay_dead_letter(call: Call) -> Reply:
    """Send the original message to its topic again, unchanged. The inbox makes a second replay harmless."""
    call.require("engineer", EVERYWHERE)
    dead_letters = call.app.dead_letters
    try:
        record: ConsumerRecord | None = await dead_letters.find(call.path["id"])
        if record is None:
            raise _no_such_dead_letter(call)
        topic = await dead_letters.replay(record, call.actor.subject, call.query.reason)
    except TopicAuthorizationFailedError as refused:
        topic = source_of(call.path["id"].partition("~")[0])
        raise Problem(
            409,
            "not_ours_to_replay",
            f"{call.app.name} may not write to {topic}: replay it at the service that owns the topic.",
        ) from refused
    except OriginalGone as gone:
        raise Problem(
            409,
            "original_gone",
            f"Only the head of this message was kept, and it is not at {gone} any more: its publisher has to "
            "send it again. Dismiss the dead letter.",
        ) from gone
    except (*KAFKA_ERRORS, TimeoutError) as error:
        raise _kafka_unavailable() from error
    return Reply(Replayed(call.path["id"], topic), status=202)


def _kafka_unavailable() -> Problem:
    return Problem(
        503,
        "kafka_away",
        "Kafka does not answer, and dead letters are stored in Kafka only. Repeat the request later.",
        {"retry-after": "5"},
    )


def _no_such_dead_letter(call: Call) -> NotFound:
    return NotFound(
        "no_such_letter",
        f"{call.app.name} has no dead letter {call.path['id']!r} (any more): choose one of the list.",
        listed_at="/v1/dlq",
    )


OPERATIONS = (
    Route("GET", "/healthz", liveness, "Does the process run?", tags=TAGS, public=True),
    Route("GET", "/readyz", readiness, "Can the service work, and if not, why?", tags=TAGS, public=True),
    Route("GET", "/metrics", metrics, "Metrics for Prometheus", tags=TAGS, public=True),
    Route(
        "GET", "/.well-known/regista", service_urls, "The public URLs of all services", tags=TAGS, public=True
    ),
    Route(
        "GET",
        "/v1/dlq",
        list_dead_letters,
        "Dead letters, the newest first",
        query=DeadLetterQuery,
        response=DeadLetterList,
        tags=TAGS,
    ),
    Route(
        "GET",
        "/v1/dlq/groups",
        list_dead_letter_groups,
        "Open dead letters by cause and signer",
        query=DeadLetterGroupQuery,
        response=DeadLetterGroups,
        tags=TAGS,
    ),
    Route(
        "POST",
        "/v1/dlq/{id}:dismiss",
        dismiss_dead_letter,
        "Close a dead letter with a reason, without a replay",
        body=Dismissal,
        response=Dismissed,
        tags=TAGS,
    ),
    Route(
        "GET",
        "/v1/dlq/{id}",
        get_dead_letter,
        "A dead letter with its headers and value",
        response=DeadLetterDetail,
        tags=TAGS,
    ),
    Route(
        "POST",
        "/v1/dlq/{id}:replay",
        replay_dead_letter,
        "Send the original message to its topic again",
        query=ReplayQuery,
        response=Replayed,
        status=202,
        tags=TAGS,
    ),
)
