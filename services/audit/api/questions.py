"""Answer what happened: timelines of models, what served at a moment, stored events."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any

from services.audit import queries, report_queries, shapes
from services.audit.as_of_shapes import AsOf
from services.audit.domain import as_of, reading
from services.audit.domain.causal_tree import cause_in_log, forest
from services.audit.log_verification import runs
from services.audit.log_verification.pages import SEALED
from services.audit.moments import period
from services.audit.queries import Event
from shared.deciding.access import covers, namespace_of, permits
from shared.deciding.decider import Forbidden, NotFound, Unprocessable
from shared.deciding.environments import is_for, unknown_environment
from shared.http.moments import end
from shared.http.problems import Problem
from shared.http.routes import Call, Route

AUDITOR, ENGINEER = "auditor", "engineer"
ON_CALL = (AUDITOR, ENGINEER)
"""Who may read the timeline of a model, and what served when. Engineers answer for what they run."""
CLOCKS_DIFFER = timedelta(minutes=1)


async def named_model(
    call: Call[Any, Any], name_or_id: str, roles: Sequence[str] = (AUDITOR,)
) -> tuple[str, str]:
    """Return (id, name) of a model about which the caller may ask: with one of `roles` in its namespace.

    Raises NotFound for one in a namespace where the caller has no role, as if it did not exist.
    """
    found = await queries.model(call.app.pool, name_or_id)
    if found is None or not call.may_read(namespace_of(found[1])):
        raise NotFound(
            "unknown_model",
            f"No event that you may read concerns a model {name_or_id!r}: check the name,"
            " or wait a moment if it was just registered.",
        )
    if not _any_role(call, roles, namespace_of(found[1])):
        call.require(roles[0], namespace_of(found[1]))
    return found


def _any_role(call: Call[Any, Any], roles: Sequence[str], namespace: str) -> bool:
    return any(permits(call.access_state, role, namespace) for role in roles)


async def get_timeline(call: Call[None, shapes.TimelineQuery]) -> dict[str, Any]:
    """Return who did what to a model, when, why, and what caused it.

    Engineers may ask about what they run, publishers about versions that they published. Events about other
    models that the caller may not read are shown with their place only.
    """
    model_id, name, own = await _timeline_of(call)
    rows = await queries.timeline(
        call.app.pool, model_id, call.query.number, _span(call.query), call.query.page_size
    )
    found = [queries.as_json(row) for row in rows]
    shown = {event["event_id"] for event in found}
    causing = await queries.causes(call.app.pool, {cause_in_log(e) for e in found} - shown)
    await report_faults(call, [*found, *causing])
    may_read = await readable(call, [*found, *causing], ON_CALL) if not own else only(model_id)
    events = [as_of.as_shown(event, hidden=not may_read(owners(event) or {model_id})) for event in found]
    causes = [
        as_of.as_shown(cause, hidden=not may_read(owners(cause)))
        for cause in causing
        if cause["event_id"] not in shown
    ]
    by_id = {event["event_id"]: event for event in (*causes, *events)}
    for event in events:
        cause = by_id.get(cause_in_log(event))
        event["caused_by"] = cause and as_of.reference(cause) | {
            "actor": cause["actor"],
            "reason": cause["reason"],
        }
    return {
        "model_id": model_id,
        "model": name,
        "items": forest(causes + events) if call.query.tree else events,
        "next_page_token": call.query.next_token(rows, "tx", "seq"),
    }


def only(model_id: str) -> Callable[[Collection[str]], bool]:
    """Return whether an event is about this model and no other."""
    return lambda models: set(models) == {model_id}


async def _timeline_of(call: Call[None, shapes.TimelineQuery]) -> tuple[str, str, bool]:
    """Return (id, name) of the model, and whether the caller may read about an own version of it only.

    Raises Forbidden for a publisher who names no version that they published.
    """
    found = await queries.model(call.app.pool, call.path["model"])
    namespace = namespace_of(found[1]) if found else ""
    if found is None or _any_role(call, ON_CALL, namespace) or not _any_role(call, ("publisher",), namespace):
        return (*await named_model(call, call.path["model"], ON_CALL), False)
    stream, number = f"model-{found[0]}", call.query.number
    upto = datetime.now(UTC) + CLOCKS_DIFFER
    registered = await queries.registered(call.app.pool, stream, number, upto) if number else None
    if registered is None or call.actor.subject not in (registered["data"].get("contributors") or ()):
        raise Forbidden(
            "own_versions_only",
            "A publisher reads the timeline of versions that they published: name one by its number, or ask "
            "for the role auditor.",
        )
    return (*found, True)


def _span(query: shapes.TimelineQuery) -> queries.Span:
    """Return which part of a timeline a page shows."""
    start = (2**63 - 1, 2**63 - 1) if query.newest else (0, 0)
    since, until = period(query.since, query.until, datetime.now(UTC) + CLOCKS_DIFFER)
    return queries.Span(
        query.after(int, int) or start,
        newest=query.newest,
        notes=query.notes,
        since=since,
        until=until,
    )


def owners(event: Event) -> frozenset[str]:
    return reading.owners(event["stream"], event["data"])


async def report_faults(call: Call[Any, Any], events: Iterable[Event]) -> None:
    """Store each fault of an event that is shown as a violation: readiness and metrics report it."""
    for event in events:
        if event["fault"]:
            named = {name: event[name] for name in ("leaf_index", "service", "stream", "revision", "fault")}
            await runs.report_shown(call.app.pool, SEALED, named)


async def readable(
    call: Call[Any, Any], events: Sequence[Event], roles: Sequence[str] = (AUDITOR,)
) -> Callable[[Collection[str]], bool]:
    """Return whether the caller may read events of models, with one of `roles` in the namespace of each.

    Those of no model need the role `auditor` everywhere.
    """
    names = await queries.names(call.app.pool, {model_id for event in events for model_id in owners(event)})

    def may_read(models: Collection[str]) -> bool:
        if not models:
            return permits(call.access_state, AUDITOR, namespace_of(""))
        return all(_any_role(call, roles, namespace_of(names.get(m, ""))) for m in models)

    return may_read


async def indexed_moment(call: Call[Any, Any], given: datetime | date | None) -> tuple[datetime, datetime]:
    """Return the moment that is asked about, and the moment up to which every event is indexed.

    Raises Unprocessable for the future, and Problem 503 for what is not indexed yet.
    """
    indexed = await queries.indexed_up_to(call.app.pool)
    at = end(given, indexed)
    if at > datetime.now(UTC) + CLOCKS_DIFFER:
        raise Unprocessable(
            "moment_in_the_future",
            "This moment is in the future: name an earlier one, or leave `at` out to ask about now.",
        )
    if at > indexed:
        raise Problem(
            503,
            "not_indexed_yet",
            f"Events are indexed up to {indexed.isoformat()}: repeat the request in a moment.",
            {"retry-after": "1"},
        )
    return at, indexed


async def check_log_had_begun(call: Call[Any, Any], at: datetime) -> None:
    """Raise Unprocessable for a moment before the log: an empty answer would hide a typo."""
    began = await report_queries.began(call.app.pool)
    if began is not None and at < began:
        raise Unprocessable(
            "before_first_event", f"The log begins at {began.isoformat()}: name a moment from then on."
        )


async def check_environment(call: Call[Any, Any], name: str, namespace: str | None = None) -> None:
    """Raise NotFound for an environment in which no model of the namespace may ever have served.

    `namespace` is None for any model that the caller may read. Otherwise an empty answer would hide a typo.
    A log of before environments were declared names none; then any counts.
    """
    every = await report_queries.environments(call.app.pool)
    readable = call.readable()
    declared = {
        one
        for of, one in every
        if (is_for(of, namespace) if namespace is not None else _touches(of, readable))
    }
    if every and name not in declared:
        raise unknown_environment(name, sorted(declared))


def _touches(namespace: str, readable: Sequence[str] | None) -> bool:
    """Return whether what is declared in a namespace holds for one that is readable, or is in one."""
    return readable is None or any(is_for(namespace, one) or covers(one, namespace) for one in readable)


async def get_as_of(call: Call[None, shapes.AsOfQuery]) -> dict[str, Any]:
    """Return what served in an environment at a moment, who approved it, and on what evidence."""
    model_id, name = await named_model(call, call.query.model, ON_CALL)
    at, indexed = await indexed_moment(call, call.query.at)
    environment = call.query.environment
    head = {
        "model_id": model_id,
        "model": name,
        "environment": environment,
        "at": at,
        "indexed_up_to": indexed,
    }
    stream = f"model-{model_id}"
    serving = await queries.serving(call.app.pool, stream, environment, at)
    if not serving:
        await check_log_had_begun(call, at)
        await check_environment(call, environment, namespace_of(name))
        return head | {"since": None, "changed_by": None, "entries": []}
    evidence = {
        entry["number"]: await _evidence(call, model_id, entry["number"], environment, at)
        for entry in serving["data"].get("entries") or []
    }
    await report_faults(call, (serving, *(event for one in evidence.values() for event in one.events)))
    return head | as_of.answer(serving, evidence)


async def _evidence(
    call: Call[Any, Any], model_id: str, number: int, environment: str, at: datetime
) -> as_of.Evidence:
    pool, stream = call.app.pool, f"model-{model_id}"
    corrections = await report_queries.corrections(pool, model_id, number, at)
    registered = await queries.registered(pool, stream, number, at)
    promoted = await queries.promoted(pool, stream, number, environment, at)
    promotion_id = str((promoted and promoted["data"].get("promotion_id")) or "")
    events = (await queries.promotions(pool, [promotion_id])).get(promotion_id, []) if promotion_id else []
    until = [event for event in events if event["recorded_at"] <= at]
    return as_of.Evidence(registered, corrections, promoted, until)


async def get_events(call: Call[None, shapes.EventsQuery]) -> dict[str, Any]:
    """Return the stored events of a stream, or all events that one request led to."""
    call.require(AUDITOR, "")
    query, pool = call.query, call.app.pool
    if bool(query.stream) == bool(query.correlation_id):
        raise Unprocessable("stream_or_correlation", "Name either a stream or a correlation_id.")
    if query.stream:
        (after,) = query.after(int) or (0,)
        rows = await queries.of_streams(pool, [query.stream], after, query.page_size)
        more = query.next_token(rows, "revision")
    else:
        rows = await queries.of_correlation(
            pool, query.correlation_id, query.after(int, int) or (0, 0), query.page_size
        )
        more = query.next_token(rows, "tx", "seq")
    items = [queries.as_json(row) for row in rows]
    await report_faults(call, items)
    return {"items": items, "next_page_token": more}


ROUTES = (
    Route(
        "GET",
        "/v1/timeline/{model}",
        get_timeline,
        "Who did what to a model, when, why, and what caused it",
        query=shapes.TimelineQuery,
        response=shapes.Timeline,
        tags=["audit"],
    ),
    Route(
        "GET",
        "/v1/as-of",
        get_as_of,
        "What was in production at a moment, and why",
        query=shapes.AsOfQuery,
        response=AsOf,
        tags=["audit"],
    ),
    Route(
        "GET",
        "/v1/events",
        get_events,
        "Stored events",
        query=shapes.EventsQuery,
        response=shapes.Events,
        tags=["audit"],
    ),
)
