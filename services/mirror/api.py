"""Set, list, show, check and remove targets; show the versions at a target."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from services.mirror import queries
from services.mirror.domain.target import check_name, stream_of, unknown
from services.mirror.domain.target_commands import BeginCheck, RemoveTarget, SetTarget
from services.mirror.parts import Parts
from services.mirror.shapes import (
    CheckAccepted,
    MirroredVersions,
    MirrorQuery,
    NewCheck,
    TargetAnswer,
    TargetRemoved,
    Targets,
    TargetSettings,
)
from services.mirror.targets import open_target
from services.mirror.targets.base import Refused
from shared.deciding.access import EVERYWHERE
from shared.deciding.decider import Unprocessable
from shared.deciding.submission import Permission, Submission, new_id
from shared.http.routes import Call, Reply, Route

CHECK = ("check_id", "repair", "running", "compared", "drifted", "problem")
"""The columns of a target that are about its newest check."""


async def list_targets(call: Call[None, None]) -> dict[str, Any]:
    """List the targets that mirror a namespace of which the caller may read something."""
    call.require_any_role()
    return {"items": await _targets(call)}


async def show_target(call: Call[None, None]) -> dict[str, Any]:
    call.require_any_role()
    return await _one(call)


async def _one(call: Call[Any, Any]) -> dict[str, Any]:
    found = await _targets(call, call.path["target"])
    if not found or not call.path["target"]:
        raise unknown(call.path["target"])
    return found[0]


async def _targets(call: Call[Any, Any], target: str = "") -> list[dict[str, Any]]:
    found = await queries.targets(call.app.pool, target)
    counts = await queries.counts(call.app.pool, call.readable(), target)
    return [_shown(row, counts.get(row["target"], {})) for row in found if _may_see(call, row["namespaces"])]


def _may_see(call: Call[Any, Any], namespaces: Sequence[str]) -> bool:
    """Any role shows a target of all namespaces; otherwise a role in one of the namespaces."""
    return any(one == EVERYWHERE or call.may_read(one) for one in namespaces)


def _shown(row: dict[str, Any], counts: dict[str, int]) -> dict[str, Any]:
    check = {name: row.pop(name) for name in CHECK}
    at = row.pop("checked_at")
    return row | {"versions": counts, "check": check | {"at": at} if check["check_id"] else None}


async def set_target(call: Call[TargetSettings, None]) -> dict[str, Any]:
    """Set a target. It needs the role admin in each of its namespaces, before and after."""
    target, body = call.path["target"], call.body
    check_name(target)
    permissions = _require_admin(call, [*body.namespaces, *await _namespaces(call, target)])
    try:
        settings = call.app.parts_as(Parts).settings.target_settings(target)
        await open_target(body.kind, settings).close()
    except Refused as e:
        raise Unprocessable("mirror_settings_wrong", str(e)) from e
    command = SetTarget(target, body.kind, tuple(body.namespaces), body.from_stage)
    await call.app.transactor.submit(_submission(call, command, permissions))
    return await _one(call)


async def remove_target(call: Call[None, None]) -> dict[str, Any]:
    """Stop mirroring to a target."""
    target = (await _one(call))["target"]
    permissions = _require_admin(call, await _namespaces(call, target))
    await call.app.transactor.submit(_submission(call, RemoveTarget(target), permissions))
    return {"target": target}


async def check_target(call: Call[NewCheck, None]) -> Reply:
    """Begin a check of a target: with `repair` it needs the role admin, otherwise engineer."""
    found = await _one(call)
    target, namespaces = found["target"], await _namespaces(call, found["target"])
    role = "admin" if call.body.repair else "engineer"
    permissions = _require(call, role, namespaces)
    check_id = str(new_id(call.cause(), "check"))
    command = BeginCheck(target, check_id, call.body.repair)
    outcome = await call.app.transactor.submit(_submission(call, command, permissions))
    if not outcome.events:  # the same check runs already
        check_id = (await _one(call))["check"]["check_id"]
    body = {"target": target, "check_id": check_id, "repair": call.body.repair}
    return Reply(body, status=202, headers={"location": f"/v1/mirrors/{target}"})


async def list_versions(call: Call[None, MirrorQuery]) -> dict[str, Any]:
    """List the versions at a target, of models that the caller may read."""
    call.require_any_role()
    target = (await _one(call))["target"]
    model_id, number = call.query.after(str, int) or ("", 0)
    items = await queries.versions(
        call.app.searches,
        target,
        (model_id, number),
        call.query.status,
        call.readable(),
        call.query.page_size,
    )
    return {"items": items, "next_page_token": call.query.next_token(items, "model_id", "number")}


async def _namespaces(call: Call[Any, Any], target: str) -> list[str]:
    return [name for row in await queries.targets(call.app.pool, target) for name in row["namespaces"]]


def _require_admin(call: Call[Any, Any], namespaces: Sequence[str]) -> list[Permission]:
    return _require(call, "admin", namespaces)


def _require(call: Call[Any, Any], role: str, namespaces: Sequence[str]) -> list[Permission]:
    found = [Permission(role, "" if name == EVERYWHERE else name) for name in dict.fromkeys(namespaces)]
    for permission in found:
        call.require(permission.role, permission.namespace)
    return found


def _submission(call: Call[Any, Any], command: object, permissions: Sequence[Permission]) -> Submission:
    target = call.path["target"]
    first, *also = permissions
    return Submission(
        command, (stream_of(target),), call.cause(), call.actor, permission=first, also=tuple(also)
    )


_ONE = "/v1/mirrors/{target}"
ROUTES = (
    Route(
        "GET",
        "/v1/mirrors",
        list_targets,
        "The targets of mirrors and how far each is in step",
        response=Targets,
        tags=["mirrors"],
    ),
    Route("GET", _ONE, show_target, "One target of mirrors", response=TargetAnswer, tags=["mirrors"]),
    Route(
        "PUT",
        _ONE,
        set_target,
        "Set what is mirrored to a target",
        body=TargetSettings,
        response=TargetAnswer,
        tags=["mirrors"],
    ),
    Route(
        "DELETE",
        _ONE,
        remove_target,
        "Stop mirroring to a target; what it has stays there",
        response=TargetRemoved,
        tags=["mirrors"],
    ),
    Route(
        "POST",
        "/v1/mirrors/{target}:check",
        check_target,
        "Compare a target with the registry, and repair it on request",
        body=NewCheck,
        response=CheckAccepted,
        status=202,
        tags=["mirrors"],
    ),
    Route(
        "GET",
        "/v1/mirrors/{target}/versions",
        list_versions,
        "The versions at a target and whether they are in step",
        query=MirrorQuery,
        response=MirroredVersions,
        tags=["mirrors"],
    ),
)
