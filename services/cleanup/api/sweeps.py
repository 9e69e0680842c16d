"""Begin, simulate, list and show sweeps."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from services.cleanup import queries
from services.cleanup.api.calls import model_of
from services.cleanup.domain import sweep
from services.cleanup.shapes import NewSweep, Simulation, SweepAccepted, Sweeps, SweepShown, VerdictQuery
from services.cleanup.simulation import simulated
from shared.deciding.access import namespace_of
from shared.deciding.decider import NotFound
from shared.deciding.submission import Permission, Submission, new_id
from shared.http.routes import Call, PageQuery, Reply, Route


async def begin_sweep(call: Call[NewSweep, None]) -> Reply:
    """Begin or simulate a sweep. A sweep over all models needs the role engineer everywhere."""
    model = await model_of(call, call.body.model) if call.body.model else None
    permission = Permission("engineer", namespace_of(model.name) if model else call.body.namespace)
    call.require(permission.role, permission.namespace)
    scope = model.model_id if model else ""
    if call.body.dry_run:
        policy = call.body.policy.to_domain() if call.body.policy else None
        plan = await simulated(call.app.transactor, scope, policy, call.body.namespace)
        return Reply(plan, status=200)
    cause = call.cause()
    sweep_id = str(new_id(cause, "sweep"))
    command = sweep.PlanSweep(sweep_id, "demand", scope)
    await call.app.transactor.submit(
        Submission(command, (sweep.stream_of(sweep_id),), cause, call.actor, permission=permission)
    )
    body = {"sweep_id": sweep_id, "dry_run": False}
    return Reply(body, status=202, headers={"location": f"/v1/sweeps/{sweep_id}"})


async def list_sweeps(call: Call[None, PageQuery]) -> dict[str, Any]:
    """List the sweeps over all models, and those over one model that the caller may read."""
    call.require_any_role()
    before = call.query.after(datetime, str)
    items = await queries.sweeps(
        call.app.pool, call.readable(), (before[0], before[1]) if before else None, call.query.page_size
    )
    return {"items": items, "next_page_token": call.query.next_token(items, "at", "sweep_id")}


async def show_sweep(call: Call[None, VerdictQuery]) -> dict[str, Any]:
    """Show a sweep and its verdicts on the versions that the caller may read."""
    call.require_any_role()
    found = await queries.sweep(call.app.pool, call.path["sweep_id"])
    if found is None or not await _may_read(call, found["model_id"]):
        raise NotFound("unknown_sweep", "There is no such sweep: GET /v1/sweeps lists them.")
    model_id, number = call.query.after(str, int) or ("", 0)
    items = await queries.verdicts(
        call.app.pool,
        found["sweep_id"],
        (model_id, number),
        call.query.verdict,
        call.query.page_size,
        call.readable(),
    )
    more = call.query.next_token(items, "model_id", "number")
    return found | {"items": items, "next_page_token": more}


async def _may_read(call: Call[None, VerdictQuery], model_id: str) -> bool:
    """Return whether the caller may read a sweep over this model, "" for all models."""
    if not model_id:
        return True
    model = await queries.model(call.app.pool, model_id)
    return call.may_read(namespace_of(model.name if model else ""))


ROUTES = (
    Route(
        "POST",
        "/v1/sweeps",
        begin_sweep,
        "Sweep now (202), or simulate one (200)",
        body=NewSweep,
        response=SweepAccepted | Simulation,
        status=202,
        also=(200,),
        tags=["sweeps"],
        timeout=120,
    ),
    Route(
        "GET",
        "/v1/sweeps",
        list_sweeps,
        "Sweeps, newest first",
        query=PageQuery,
        response=Sweeps,
        tags=["sweeps"],
    ),
    Route(
        "GET",
        "/v1/sweeps/{sweep_id}",
        show_sweep,
        "A sweep: each version, and why it stays or may be retired",
        query=VerdictQuery,
        response=SweepShown,
        tags=["sweeps"],
    ),
)
