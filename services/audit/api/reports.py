"""Report over all models: decisions of a period, what served on a day, who did what, who held which role."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.audit import queries, report_queries, report_shapes
from services.audit.api.questions import (
    AUDITOR,
    check_environment,
    check_log_had_begun,
    indexed_moment,
    named_model,
    owners,
    readable,
    report_faults,
)
from services.audit.denied_attempts import NEWEST, denied_attempts
from services.audit.domain import as_of, decisions
from services.audit.domain.reading import model_of_stream
from services.audit.domain.rights import mapped_roles, rights
from services.audit.moments import FIRST, period
from services.audit.queries import Event
from services.audit.shapes import Events
from shared.deciding.access import covers, implies, permits
from shared.deciding.decider import NotFound
from shared.http.routes import Call, Route, page_token

LAST = 2**63 - 1


def require_somewhere(call: Call[Any, Any]) -> None:
    """Raise Forbidden unless the caller is an auditor of any namespace."""
    namespaces = {grant.namespace for grant in call.access_state.grants.values()}
    if not any(permits(call.access_state, AUDITOR, namespace) for namespace in namespaces):
        call.require(AUDITOR, "")


def _page(query: report_shapes.Period) -> tuple[datetime, report_queries.Position]:
    """Return the beginning of the period, and the position before which the page begins."""
    since, until = period(query.since, query.until, datetime.now(UTC))
    return since, query.after(datetime, int, int) or (until, LAST, LAST)


def _token(query: report_shapes.Period, rows: Any) -> str:
    shown = [dict(zip(("at", "tx", "seq"), report_queries.sort_key(row), strict=True)) for row in rows]
    return query.next_token(shown, "at", "tx", "seq")


async def get_promotions(call: Call[None, report_shapes.DecisionsQuery]) -> dict[str, Any]:
    """Return the promotions of a period over all models, with their approvers, the newest first."""
    return await _decided(call, decisions.PROMOTION)


async def get_denials(call: Call[None, report_shapes.DecisionsQuery]) -> dict[str, Any]:
    """Return the promotions that were denied or refused in a period, the newest first."""
    return await _decided(call, decisions.DENIAL)


async def get_overrides(call: Call[None, report_shapes.DecisionsQuery]) -> dict[str, Any]:
    """Return the break-glass overrides of a period, the newest first."""
    return await _decided(call, decisions.OVERRIDE)


async def _decided(call: Call[None, report_shapes.DecisionsQuery], kind: str) -> dict[str, Any]:
    require_somewhere(call)
    pool, query = call.app.pool, call.query
    model_id = (await named_model(call, query.model))[0] if query.model else None
    since, before = _page(query)
    rows = await report_queries.decisions(pool, kind, model_id, since, before, query.page_size)
    events = [queries.with_object(row) for row in rows]
    await report_faults(call, events)
    may_read = await readable(call, events)
    shown = [event for event in events if may_read(owners(event))]
    behind = await queries.promotions(pool, {str(event["promotion_id"] or "") for event in shown})
    names = await queries.names(pool, {id_ for event in shown for id_ in owners(event)})
    decided = [(event, behind.get(str(event["promotion_id"]), [])) for event in shown]
    return {
        "items": [
            _decision(event, of_promotion, names)
            for event, of_promotion in decided
            if not decisions.carries_out_a_denial(event, _until(event, of_promotion))
        ],
        "next_page_token": _token(query, rows),
    }


def _until(event: Event, behind: list[Event]) -> list[Event]:
    """Return the events of a promotion that were recorded up to this one."""
    return [one for one in behind if one["recorded_at"] <= event["recorded_at"]]


def _decision(event: Event, of_promotion: list[Event], names: dict[str, str]) -> dict[str, Any]:
    """Return one decision. Of the events of its promotion, later ones count for the after-review only."""
    data, model_id = event["data"], next(iter(owners(event)), "")
    about = data.get("about") if isinstance(data.get("about"), dict) else {}
    reasons = data.get("reasons") or [data.get("reason") or event["reason"]]
    return {
        "model_id": model_id,
        "model": names.get(model_id, ""),
        "number": event["number"],
        "environment": event["environment"] or about.get("environment"),
        "at": event["recorded_at"],
        "by": event["actor"],
        "reasons": [str(reason) for reason in reasons if reason],
        "bypassed": [str(gate) for gate in data.get("bypassed") or ()],
        "promotion": as_of.promotion(as_of.Evidence(promoted=event, promotion=_until(event, of_promotion))),
        "after_review": decisions.after_review(of_promotion) if event["type"] == "OverrideUsed" else None,
        "event": as_of.reference(event),
    }


async def get_serving(call: Call[None, report_shapes.ServingQuery]) -> dict[str, Any]:
    """Return what served at a moment in all models and environments, with who approved it."""
    require_somewhere(call)
    pool, query = call.app.pool, call.query
    at, indexed = await indexed_moment(call, query.at)
    after = query.after(str, str) or ("", "")
    events, last = await report_queries.serving(pool, at, after, query.page_size)
    if not events and after == ("", ""):
        await check_log_had_begun(call, at)
    await report_faults(call, events)
    may_read = await readable(call, events)
    wanted = [
        event
        for event in events
        if may_read(owners(event)) and query.environment in {"", event["environment"]}
    ]
    if query.environment and not wanted:
        await check_environment(call, query.environment)
    versions = [
        (event["stream"], entry["number"], event["environment"])
        for event in wanted
        for entry in event["data"].get("entries") or ()
    ]
    promoted = await report_queries.promoted(pool, versions, at)
    names = await queries.names(pool, {id_ for event in wanted for id_ in owners(event)})
    return {
        "at": at,
        "indexed_up_to": indexed,
        "items": [_in_service(event, promoted, names) for event in wanted],
        "next_page_token": report_shapes.token(last),
    }


def _in_service(
    event: Event, promoted: dict[tuple[str, int, str], tuple[Event, list[Event]]], names: dict[str, str]
) -> dict[str, Any]:
    stream, environment = event["stream"], event["environment"]
    model_id = model_of_stream(stream) or ""
    evidence = {
        number: as_of.Evidence(promoted=one, promotion=behind)
        for (at_stream, number, at_environment), (one, behind) in promoted.items()
        if (at_stream, at_environment) == (stream, environment)
    }
    head = {"model_id": model_id, "model": names.get(model_id, ""), "environment": environment}
    return head | as_of.answer(event, evidence)


async def get_acts(call: Call[None, report_shapes.Period]) -> dict[str, Any]:
    """Return everything that an identity did in a period, or others on its behalf, the newest first."""
    require_somewhere(call)
    pool, query = call.app.pool, call.query
    since, before = _page(query)
    rows = await report_queries.acts(pool, call.path["subject"], since, before, query.page_size)
    events = [queries.with_object(row) for row in rows]
    await report_faults(call, events)
    may_read = await readable(call, events)
    names = await queries.names(pool, {id_ for event in events for id_ in owners(event)})
    items = []
    for event in events:
        hidden = not may_read(owners(event))
        model_id = None if hidden else next(iter(owners(event)), None)
        about = {"model_id": model_id, "model": names.get(model_id or "", "")}
        items.append(as_of.as_shown(event, hidden=hidden) | about)
    return {"items": items, "next_page_token": _token(query, rows)}


async def get_rights(call: Call[None, report_shapes.RightsQuery]) -> dict[str, Any]:
    """Return who held which role, and which keys were live, at a moment."""
    call.require(AUDITOR, "")
    query = call.query
    at, _ = await indexed_moment(call, query.at)
    (after,) = query.after(str) or ("",)
    if query.subject:
        found = await report_queries.identity(call.app.pool, query.subject)
    else:
        found = await report_queries.identities(call.app.pool, after, query.page_size)
    await report_faults(call, (event for events in found.values() for event in events))
    of_issuers = await report_queries.issuers(call.app.pool)
    await report_faults(call, (event for events in of_issuers.values() for event in events))
    mapped = {key: mapped_roles(events, at) for key, events in of_issuers.items()}
    items = [
        one for events in found.values() if (one := rights(events, at, mapped)) and _asked_for(one, query)
    ]
    if not items and not after:
        await check_log_had_begun(call, at)
    last = ([*found][-1],) if len(found) == query.page_size and not query.subject else None
    return {"at": at, "items": items, "next_page_token": report_shapes.token(last)}


def _asked_for(identity: dict[str, Any], query: report_shapes.RightsQuery) -> bool:
    """Return whether the identity has a role in effect that matches the query. Drops its other roles."""
    if identity["disabled"] and (query.role or query.namespace):
        return False
    identity["roles"] = [
        one
        for one in identity["roles"]
        if (not query.role or implies(str(one["role"]), query.role))
        and (not query.namespace or one["namespace"] == "*" or covers(str(one["namespace"]), query.namespace))
    ]
    return bool(identity["roles"]) or not (query.role or query.namespace)


async def get_policies(call: Call[None, report_shapes.PoliciesQuery]) -> dict[str, Any]:
    """Return the policies that were in force at a moment, with their text."""
    call.require(AUDITOR, "")
    query = call.query
    at, _ = await indexed_moment(call, query.at)
    published = await report_queries.policies(call.app.pool)
    await report_faults(call, (event for events in published.values() for event in events))
    ruling = await _ruling(call, query.model, at) if query.model else None
    items = []
    for name, events in published.items():
        until = [e for e in events if e["type"] == "PolicyPublished" and e["recorded_at"] <= at]
        if ruling is not None:
            until = [e for e in until if (name, e["data"].get("digest")) == ruling]
        if until and query.name in {"", name}:
            items.append(_policy(name, until[-1]))
    if not items:
        await check_log_had_begun(call, at)
    if query.name and not items:
        raise NotFound("unknown_policy", f"No policy {query.name!r} was in force then: check name and time.")
    return {"at": at, "items": items, "next_page_token": ""}


async def _ruling(call: Call[Any, Any], model: str, at: datetime) -> tuple[str, Any]:
    """Return name and digest of the policy behind the newest promotion of a model at a moment."""
    model_id, _ = await named_model(call, model)
    pool, before = call.app.pool, (at, LAST, LAST)
    rows = await report_queries.decisions(pool, decisions.PROMOTION, model_id, FIRST, before, 1)
    for event in map(queries.with_object, rows):
        promotion_id = str(event["promotion_id"] or "")
        behind = (await queries.promotions(pool, {promotion_id})).get(promotion_id, [])
        policy = (
            next((e["data"].get("policy") for e in behind if e["type"] == "PromotionGranted"), None) or {}
        )
        return str(policy.get("name")), policy.get("digest")
    raise NotFound("never_promoted", f"No version of {model} was promoted until then.")


def _policy(name: str, event: Event) -> dict[str, Any]:
    return {
        "name": name,
        "revision": event["revision"],
        "digest": event["data"].get("digest"),
        "published_at": event["recorded_at"],
        "published_by": event["actor"],
        "reason": event["reason"],
        "policy": event["data"].get("policy"),
        "event": as_of.reference(event),
    }


def _route(path: str, endpoint: Any, summary: str, query: Any, response: Any) -> Route:
    return Route(
        "GET", f"/v1/reports/{path}", endpoint, summary, query=query, response=response, tags=["audit"]
    )


async def get_attempts(call: Call[None, report_shapes.AttemptsQuery]) -> dict[str, Any]:
    """Return who tried what a rule denied in a period, the newest first."""
    query, model_id = call.query, ""
    if query.model:
        model_id, _ = await named_model(call, query.model)
    else:
        call.require(AUDITOR, "")
    since, until = period(query.since, query.until, datetime.now(UTC))
    before = query.after(int, int) or NEWEST
    items, more = await denied_attempts(
        call.app.pool, query.subject, model_id, since, until, before, query.page_size
    )
    await report_faults(call, items)
    return {"items": items, "next_page_token": page_token(*more) if more else ""}


ROUTES = (
    _route(
        "promotions",
        get_promotions,
        "Promotions of a period, with approvers",
        report_shapes.DecisionsQuery,
        report_shapes.Decisions,
    ),
    _route(
        "denials",
        get_denials,
        "Promotions that were denied in a period",
        report_shapes.DecisionsQuery,
        report_shapes.Decisions,
    ),
    _route(
        "overrides",
        get_overrides,
        "Break-glass overrides of a period",
        report_shapes.DecisionsQuery,
        report_shapes.Decisions,
    ),
    _route(
        "attempts",
        get_attempts,
        "Who tried what a rule denied in a period",
        report_shapes.AttemptsQuery,
        Events,
    ),
    _route(
        "serving",
        get_serving,
        "What served at a moment, in all models",
        report_shapes.ServingQuery,
        report_shapes.Serving,
    ),
    _route(
        "acts/{subject}",
        get_acts,
        "Everything that an identity did",
        report_shapes.Period,
        report_shapes.Acts,
    ),
    _route(
        "rights",
        get_rights,
        "Who held which role at a moment",
        report_shapes.RightsQuery,
        report_shapes.Rights,
    ),
    _route(
        "policies",
        get_policies,
        "The policies in force at a moment",
        report_shapes.PoliciesQuery,
        report_shapes.Policies,
    ),
)
