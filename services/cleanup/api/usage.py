"""How often versions of a model are used."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from services.cleanup import queries
from services.cleanup.api.calls import model_of
from services.cleanup.domain.retention import stream_of
from services.cleanup.inbound import ModelUsed
from services.cleanup.queries import Model
from services.cleanup.shapes import Usage, UsageTaken
from shared.deciding.access import namespace_of, permits
from shared.deciding.environments import unknown_environment
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, PageQuery, Reply, Route

MONTH = timedelta(days=31)


async def read_usage(call: Call[None, PageQuery]) -> dict[str, Any]:
    model = await model_of(call, call.path["model"])
    (after,) = call.query.after(int) or (0,)
    versions = await queries.uses(call.app.pool, model.model_id, after, call.query.page_size)
    since = (datetime.now(UTC) - MONTH).date().isoformat()
    numbers = [version["number"] for version in versions]
    return {
        "model_id": model.model_id,
        "model": model.name,
        "versions": versions,
        "days": await queries.uses_by_day(call.app.pool, model.model_id, numbers, since),
        "next_page_token": call.query.next_token(versions, "number"),
    }


async def report_use(call: Call[ModelUsed, None]) -> Reply:
    """Count the uses in a report of a publisher or an engineer."""
    model = await model_of(call, call.body.model_id or call.body.model)
    namespace, stream = namespace_of(model.name), stream_of(model.model_id)
    roles = ("publisher", "engineer")
    role = next((role for role in roles if permits(call.access_state, role, namespace)), "publisher")
    await _check_environment(call, model, call.body.environment)
    command = call.body.to_domain(model.model_id)
    outcome = await call.app.transactor.submit(
        Submission(command, (stream,), call.cause(), call.actor, permission=Permission(role, namespace))
    )
    recorded = outcome.events[0].event
    taken = UsageTaken(
        model_id=model.model_id,
        number=recorded.number,
        total=recorded.total,
        last_used_at=recorded.last_used_at,
    )
    return Reply(taken, status=202)


async def _check_environment(call: Call[ModelUsed, None], model: Model, name: str) -> None:
    if not await queries.is_environment(call.app.pool, model, name):
        raise unknown_environment(name, await queries.environments_for(call.app.pool, model))


ROUTES = (
    Route(
        "GET",
        "/v1/usage/{model}",
        read_usage,
        "How often versions of a model were used",
        query=PageQuery,
        response=Usage,
        tags=["usage"],
    ),
    Route(
        "POST",
        "/v1/usage",
        report_use,
        "Report how often a version was used",
        body=ModelUsed,
        response=UsageTaken,
        status=202,
        tags=["usage"],
    ),
)
