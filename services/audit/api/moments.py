"""Moments: when something changed in the log, for whom wants to see everything as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.audit import moment_queries, queries, report_queries
from services.audit.api.questions import owners, readable, report_faults
from services.audit.api.reports import require_somewhere
from services.audit.queries import Event
from services.audit.report_shapes import Moments, MomentsQuery
from shared.http.moments import end
from shared.http.routes import Call, Route

LATER = timedelta(seconds=1)
"""The span ends behind the present moment: what was just recorded is in it."""


async def list_moments(call: Call[None, MomentsQuery]) -> dict[str, Any]:
    """Return one moment of each hundredth of the log's span, and those next to the one asked about."""
    require_somewhere(call)
    pool, now = call.app.pool, datetime.now(UTC)
    at, began = end(call.query.at, now), await report_queries.began(pool) or now
    found = await moment_queries.moments(pool, began, now + LATER, at)
    events = [*found.spread, *found.before, *found.after]
    await report_faults(call, events)
    may_read = await readable(call, events)
    names = await queries.names(pool, {id_ for event in events for id_ in owners(event)})

    def shown(some: Any) -> list[dict[str, Any]]:
        return [_shown(event, names) for event in some if may_read(owners(event))]

    before, after = shown(found.before), shown(found.after)
    return {
        "first": found.first,
        "at": at,
        "items": shown(found.spread),
        "before": before[-1] if before else None,
        "after": after[0] if after else None,
    }


def _shown(event: Event, names: dict[str, str]) -> dict[str, Any]:
    model_id = next(iter(owners(event)), "")
    return {
        "at": event["recorded_at"],
        "type": event["type"],
        "by": event["actor"]["subject"],
        "model": names.get(model_id, ""),
        "number": event["number"],
        "environment": event["environment"],
    }


ROUTES = (
    Route(
        "GET",
        "/v1/moments",
        list_moments,
        "When something changed: promotions, rollouts, policies and rights",
        query=MomentsQuery,
        response=Moments,
        tags=["audit"],
    ),
)
