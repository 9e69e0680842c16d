"""HTTP of cleanup: retention policies, sweeps and their reasons, use."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any

from msgspec import to_builtins

from services.cleanup import queries, shapes
from services.cleanup.domain import sweep
from services.cleanup.domain.policy import DEFAULT_POLICY
from services.cleanup.domain.retention import ChangeRetention, simulate, stream_of
from services.cleanup.domain.retention_state import VersionMarked, VersionSpared
from services.cleanup.inbound import ModelUsed
from shared.deciding.access import ANY_ROLE, namespace_of, permits
from shared.deciding.decider import NotFound
from shared.deciding.submission import Permission, Submission, new_id
from shared.http.routes import Call, PageQuery, Reply, Route

SHOWN_IN_SIMULATION = 1000


async def _model(call: Call, name_or_id: str) -> queries.Model:
    found = await queries.model(call.app.pool, name_or_id)
    if found is None:
        raise NotFound(
            "unknown_model",
            f"cleanup knows no model {name_or_id!r}: check the name, or wait a moment if it was just registered.",
        )
    return found


async def _readable(call: Call) -> queries.Model:
    model = await _model(call, call.path["model"])
    call.require(ANY_ROLE, namespace_of(model.name))
    return model


async def get_retention(call: Call) -> Reply:
    model = await _readable(call)
    own = await queries.policy(call.app.pool, model.model_id)
    policy, revision = own or (to_builtins(DEFAULT_POLICY), 0)
    after = call.query.after(int) or (0,)
    versions = await queries.standings(call.app.pool, model.model_id, after[0], call.query.page_size)
    more = call.query.next_token(versions, "number")
    body = {
        "model_id": model.model_id,
        "model": model.name,
        "policy": policy,
        "is_default": own is None,
        "revision": revision,
    }
    return Reply(body | {"versions": versions, "next_page_token": more}, headers={"etag": f'"{revision}"'})


async def put_retention(call: Call) -> Reply:
    model = await _model(call, call.path["model"])
    namespace = namespace_of(model.name)
    call.require("engineer", namespace)
    policy = call.body.to_domain()
    command = ChangeRetention(model.model_id, policy, call.if_match)
    permission = Permission("engineer", namespace)
    outcome = await call.app.transactor.submit(
        Submission(command, (stream_of(model.model_id),), call.cause(), call.actor, permission=permission)
    )
    changed = bool(outcome.events)
    revision = (
        outcome.events[0].revision
        if changed
        else (await queries.policy(call.app.pool, model.model_id) or ({}, 0))[1]
    )
    body = {
        "model_id": model.model_id,
        "model": model.name,
        "policy": to_builtins(policy),
        "revision": revision,
        "changed": changed,
    }
    return Reply(body, etag=revision)


async def ask_sweep(call: Call) -> Reply:
    """Engineers may sweep the models of their namespace; a sweep over all needs the role everywhere."""
    model = await _model(call, call.body.model) if call.body.model else None
    permission = Permission("engineer", namespace_of(model.name) if model else "")
    call.require(permission.role, permission.namespace)
    scope = model.model_id if model else ""
    if call.body.dry_run:
        return Reply(await _simulated(call, scope), status=200)
    cause = call.cause()
    sweep_id = str(new_id(cause, "sweep"))
    plan = sweep.PlanSweep(sweep_id, "demand", scope)
    await call.app.transactor.submit(
        Submission(plan, (sweep.stream_of(sweep_id),), cause, call.actor, permission=permission)
    )
    return Reply(
        {"sweep_id": sweep_id, "dry_run": False}, status=202, headers={"location": f"/v1/sweeps/{sweep_id}"}
    )


async def _simulated(call: Call, scope: str) -> dict[str, Any]:
    """The plan a sweep would make now; nothing is recorded.

    Shows every mark first, up to a limit, then what is spared.
    """
    policy, now = call.body.policy and call.body.policy.to_domain(), datetime.now(UTC)
    marked: list[VersionMarked] = []
    spared: list[VersionSpared] = []
    models, place, counts = 0, scope, {"marked": 0, "spared": 0}
    while page := await queries.models_from(call.app.pool, place, scope, 200):
        for model_id, _highest in page:
            models += 1
            state = await queries.state_of(call.app.transactor, model_id)
            for verdict in await asyncio.to_thread(
                simulate, state, now, policy
            ):  # 100,000 versions take seconds: others are answered meanwhile
                counts["marked" if isinstance(verdict, VersionMarked) else "spared"] += 1
                kept: list[Any] = marked if isinstance(verdict, VersionMarked) else spared
                if len(kept) < SHOWN_IN_SIMULATION:
                    kept.append(verdict)
        if len(page) < 200 or scope:
            break
        place = page[-1][0] + "\x01"
    verdicts: list[VersionMarked | VersionSpared] = [*marked, *spared]
    shown = [_shown(verdict) for verdict in verdicts[:SHOWN_IN_SIMULATION]]
    total = sum(counts.values())
    return {
        "dry_run": True,
        "at": now,
        "models": models,
        "versions": total,
        "verdicts": counts,
        "items": shown,
        "truncated": total > len(shown),
    }


def _shown(verdict: VersionMarked | VersionSpared) -> dict[str, Any]:
    version = {
        "model_id": verdict.model_id,
        "model": verdict.model,
        "number": verdict.number,
        "semver": verdict.semver,
    }
    if isinstance(verdict, VersionMarked):
        why = [{"code": verdict.rule, "detail": verdict.reason}]
        return version | {
            "verdict": "marked",
            "rule": verdict.rule,
            "reasons": why,
            "delete_after": verdict.delete_after,
        }
    return version | {
        "verdict": "spared",
        "rule": "",
        "reasons": to_builtins(verdict.reasons),
        "delete_after": None,
    }


async def list_sweeps(call: Call) -> dict[str, Any]:
    """The sweeps shown are those over all models, and those over one that the caller may read."""
    call.require_any_role()
    items = await queries.sweeps(
        call.app.pool, call.readable(), call.query.after(datetime, str), call.query.page_size
    )
    more = call.query.next_token(items, "at", "sweep_id")
    return {"items": items, "next_page_token": more}


async def get_sweep(call: Call) -> dict[str, Any]:
    """The versions shown are those of namespaces the caller may read."""
    call.require_any_role()
    found = await queries.sweep(call.app.pool, call.path["sweep_id"])
    if found is None:
        raise NotFound("unknown_sweep", "There is no such sweep: GET /v1/sweeps lists them.")
    if found["model_id"]:
        model = await queries.model(call.app.pool, found["model_id"])
        call.require(ANY_ROLE, namespace_of(model.name if model else ""))
    after = call.query.after(str, int) or ("", 0)
    items = await queries.verdicts(
        call.app.pool, found["sweep_id"], after, call.query.verdict, call.query.page_size
    )
    more = call.query.next_token(items, "model_id", "number")
    readable = [item for item in items if permits(call.access_state, ANY_ROLE, namespace_of(item["model"]))]
    return found | {"items": readable, "next_page_token": more}


async def get_usage(call: Call) -> dict[str, Any]:
    model = await _readable(call)
    after = call.query.after(int) or (0,)
    versions = await queries.uses(call.app.pool, model.model_id, after[0], call.query.page_size)
    month_ago = (datetime.now(UTC) - timedelta(days=31)).date().isoformat()
    days = await queries.uses_by_day(
        call.app.pool, model.model_id, [v["number"] for v in versions], month_ago
    )
    more = call.query.next_token(versions, "number")
    return {
        "model_id": model.model_id,
        "model": model.name,
        "versions": versions,
        "days": days,
        "next_page_token": more,
    }


async def post_usage(call: Call) -> Reply:
    model = await _model(call, call.body.model_id or call.body.model)
    namespace = namespace_of(model.name)
    role = next(
        (r for r in ("publisher", "engineer") if permits(call.access_state, r, namespace)), "publisher"
    )
    submission = Submission(
        call.body.to_domain(model.model_id),
        (stream_of(model.model_id),),
        call.cause(),
        call.actor,
        permission=Permission(role, namespace),
    )
    outcome = await call.app.transactor.submit(submission)
    recorded = outcome.events[0].event
    return Reply(
        {
            "model_id": model.model_id,
            "number": recorded.number,
            "total": recorded.total,
            "last_used_at": recorded.last_used_at,
        },
        status=202,
    )


ROUTES = [
    Route(
        "GET",
        "/v1/retention/{model}",
        get_retention,
        "How long versions of a model are kept, and where each stands",
        query=PageQuery,
        response=shapes.Retention,
        tags=["retention"],
    ),
    Route(
        "PUT",
        "/v1/retention/{model}",
        put_retention,
        "Change how long versions of a model are kept",
        body=shapes.Policy,
        response=shapes.RetentionChanged,
        needs_if_match=True,
        tags=["retention"],
    ),
    Route(
        "POST",
        "/v1/sweeps",
        ask_sweep,
        "Sweep now (202), or simulate one (200)",
        body=shapes.SweepAsked,
        response=shapes.SweepAccepted | shapes.Simulation,
        status=202,
        tags=["sweeps"],
        timeout=120,
    ),
    Route(
        "GET",
        "/v1/sweeps",
        list_sweeps,
        "Sweeps, newest first",
        query=PageQuery,
        response=shapes.Sweeps,
        tags=["sweeps"],
    ),
    Route(
        "GET",
        "/v1/sweeps/{sweep_id}",
        get_sweep,
        "A sweep: each version, why it stays or goes",
        query=shapes.VerdictQuery,
        response=shapes.SweepShown,
        tags=["sweeps"],
    ),
    Route(
        "GET",
        "/v1/usage/{model}",
        get_usage,
        "How often versions of a model were used",
        query=PageQuery,
        response=shapes.Usage,
        tags=["usage"],
    ),
    Route(
        "POST",
        "/v1/usage",
        post_usage,
        "Report how often a version was used",
        body=ModelUsed,
        response=shapes.UsageTaken,
        status=202,
        tags=["usage"],
    ),
]
