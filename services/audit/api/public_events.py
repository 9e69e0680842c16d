"""Send the public events of all services to callers who cannot or need not read Kafka."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from pydantic import BaseModel, Field
from starlette.responses import Response

from regista.wire.event_feed import LONGEST_CURSOR, BadCursor, position_of
from regista.wire.event_types import name_of, problem_of_type
from services.audit import queries
from services.audit.moments import beginning
from services.audit.parts import Parts
from services.audit.public_events.feeds import Feed, Wanted
from services.audit.public_events.response import HEADERS, EventStream
from services.audit.shapes import SINCE
from shared.deciding.access import namespace_of
from shared.deciding.decider import NotFound, Unprocessable
from shared.http.moments import Moment
from shared.http.problems import Problem
from shared.http.routes import Body, Call, Route


class PublicEventsQuery(Body):
    """`cursor` is the id of the last event that was handled; the header Last-Event-ID replaces it."""

    cursor: str = Field("", max_length=LONGEST_CURSOR, description="begin behind the event with this id")
    since: Moment | None = Field(None, description=f"begin with what was recorded then; {SINCE}")
    model: str = Field("", max_length=200, description="only events about this model: its name or id")
    namespace: str = Field("", max_length=200, description="only events of this namespace and those below")
    type: str = Field("", max_length=2_000, description="only these types, separated by commas")
    follow: bool = Field(True, description="false: end at the present")


class PublicEvent(BaseModel):
    """A public event in the JSON format of CloudEvents. The server-sent event's `id` is the cursor behind it.

    Its extension attributes are those of the message on Kafka. `dssematerial` is the signature of the service
    over the attributes that `signedextattrs` names and the exact bytes of `data`, which is the last member.
    `leaf` is the event's leaf in the log.
    """

    specversion: str
    id: str
    source: str
    type: str
    subject: str
    time: datetime
    datacontenttype: str
    partitionkey: str
    recordedtime: datetime
    revision: str
    leaf: str
    correlationid: str = ""
    causationid: str = ""
    traceparent: str = ""
    signedextattrs: str
    dssematerial: str
    data: dict[str, Any]


async def feed_public_events(call: Call[None, PublicEventsQuery]) -> Response:
    """Send the events that the caller may read, in the order of each stream, each at least once."""
    call.require_any_role()
    wanted = await _wanted(call)
    if call.request.method == "HEAD":
        return Response(None, 200, HEADERS)
    events, subject = call.app.parts_as(Parts).public_events, call.actor.subject
    events.limits.enter(subject)
    until = call.token.expires_at if call.token else None
    feed = Feed(call.app, events, call.actor, wanted, until)
    return EventStream(feed.frames(), lambda: events.limits.leave(subject))


async def _wanted(call: Call[None, PublicEventsQuery]) -> Wanted:
    query = call.query
    cursor = call.headers.get("last-event-id", "") or query.cursor
    try:
        position = position_of(cursor) if cursor else None
    except BadCursor as bad:
        raise Problem(
            422, "invalid_cursor", f"{bad}: send the id of an event as it was received, or `since`."
        ) from bad
    types = [part.strip() for part in query.type.split(",") if part.strip()]
    if wrong := [problem for one in types if (problem := problem_of_type(one))]:
        raise Unprocessable(
            "unknown_event_type", f"{'; '.join(wrong)}. docs/events.md lists the types of the public events."
        )
    if query.namespace and not call.may_read(query.namespace) and not _below(call, query.namespace):
        raise NotFound("unknown_namespace", f"You may read nothing in the namespace {query.namespace!r}.")
    return Wanted(
        position,
        _since(query.since),
        await _model_id(call, query.model) if query.model else "",
        query.namespace,
        frozenset(map(name_of, types)),
        follow=query.follow,
    )


def _since(moment: datetime | date | None) -> datetime | None:
    return None if moment is None else beginning(moment)


def _below(call: Call[Any, Any], namespace: str) -> bool:
    return any(one.startswith(f"{namespace}.") for one in call.readable() or ())


async def _model_id(call: Call[Any, Any], name_or_id: str) -> str:
    found = await queries.model(call.app.pool, name_or_id)
    if found is None or not call.may_read_model(found[0], namespace_of(found[1])):
        raise NotFound(
            "unknown_model",
            f"No event that you may read concerns a model {name_or_id!r}: check the name,"
            " or wait a moment if it was just registered.",
        )
    return found[0]


ROUTES = (
    Route(
        "GET",
        "/v1/public-events",
        feed_public_events,
        "The public events of all services, as server-sent events",
        query=PublicEventsQuery,
        response=PublicEvent,
        event_stream=True,
        also=[429],
        tags=["events"],
    ),
)
