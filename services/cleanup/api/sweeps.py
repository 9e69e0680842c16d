"""Begin, simulate, list and show cleanup runs."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.cleanup import queries
from services.cleanup.api.calls import model_of
from services.cleanup.domain import sweep
from services.cleanup.shapes import (
    CleanupRunAccepted,
    CleanupRuns,
    CleanupRunShown,
    NewCleanupRun,
    Simulation,
    VerdictQuery,
)
from services.cleanup.simulation import simulated
from shared.deciding.access import namespace_of
from shared.deciding.decider import NotFound
from shared.deciding.submission import Permission, Submission, new_id
from shared.http.routes import Call, PageQuery, Reply, Route


async def begin_cleanup_run(call: Call[NewCleanupRun, None]) -> Reply:
    """Begin or simulate a cleanup run. A cleanup run over all models needs the role engineer everywhere."""
    model = await model_of(call, call.body.model) if call.body.model else None
    permission = Permission("engineer", namespace_of(model.name) if model else call.body.namespace)
    call.require(permission.role, permission.namespace)
    scope = model.model_id if model else ""
    if call.body.dry_run:
        policy = call.body.policy.to_domain() if call.body.policy else None
        plan = await simulated(call.app.transactor, scope, policy, call.body.namespace)
        return Reply(plan, status=200)
    cause = call.cause()
    cleanup_run_id = str(new_id(cause, "sweep"))
    command = sweep.PlanSweep(cleanup_run_id, "demand", scope)
    await call.app.transactor.submit(
        Submission(command, (sweep.stream_of(cleanup_run_id),), cause, call.actor, permission=permission)
    )
    body = {"cleanup_run_id": cleanup_run_id, "dry_run": False}
    return Reply(body, status=202, headers={"location": f"/v1/cleanup-runs/{cleanup_run_id}"})


async def list_cleanup_runs(call: Call[None, PageQuery]) -> dict[str, Any]:
    """List the cleanup runs over all models, and those over one model that the caller may read."""
    call.require_any_role()
    before = call.query.after(datetime, str)
    items = await queries.cleanup_runs(
        call.app.searches, call.readable(), (before[0], before[1]) if before else None, call.query.page_size
    )
    return {"items": items, "next_page_token": call.query.next_token(items, "at", "cleanup_run_id")}


async def show_cleanup_run(call: Call[None, VerdictQuery]) -> dict[str, Any]:
    """Show a cleanup run and its verdicts on the versions that the caller may read."""
    call.require_any_role()
    found = await queries.cleanup_run(call.app.pool, call.path["cleanup_run_id"])
    if found is None or not await _may_read(call, found["model_id"]):
        raise NotFound(
            "unknown_cleanup_run",
            "There is no such cleanup run: choose one of the list.",
            listed_at="/v1/cleanup-runs",
        )
    model_id, number = call.query.after(str, int) or ("", 0)
    items = await queries.verdicts(
        call.app.searches,
        found["cleanup_run_id"],
        (model_id, number),
        call.query.verdict,
        call.query.page_size,
        call.readable(),
    )
    more = call.query.next_token(items, "model_id", "number")
    return found | {"items": items, "next_page_token": more}


async def _may_read(call: Call[None, VerdictQuery], model_id: str) -> bool:
    """Return whether the caller may read a cleanup run over this model, "" for all models."""
    if not model_id:
        return True
    model = await queries.model(call.app.pool, model_id)
    return call.may_read(namespace_of(model.name if model else ""))


ROUTES = (
    Route(
        "POST",
        "/v1/cleanup-runs",
        begin_cleanup_run,
        "Clean up now (202), or simulate it (200)",
        body=NewCleanupRun,
        response=CleanupRunAccepted | Simulation,
        status=202,
        former=["/v1/sweeps"],
        also=(200,),
        tags=["cleanup runs"],
        timeout=120,
    ),
    Route(
        "GET",
        "/v1/cleanup-runs",
        list_cleanup_runs,
        "Cleanup runs, newest first",
        query=PageQuery,
        response=CleanupRuns,
        former=["/v1/sweeps"],
        tags=["cleanup runs"],
    ),
    Route(
        "GET",
        "/v1/cleanup-runs/{cleanup_run_id}",
        show_cleanup_run,
        "A cleanup run: each version, and why it stays or may be retired",
        query=VerdictQuery,
        response=CleanupRunShown,
        former=["/v1/sweeps/{cleanup_run_id}"],
        tags=["cleanup runs"],
    ),
)
