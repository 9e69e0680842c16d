"""Environments: declare, list, change, retire; and what serves where, over all models."""

from __future__ import annotations

from typing import Any

from services.registry.api.calls import readable
from services.registry.domain.serving.environment import (
    ENVIRONMENTS,
    CreateEnvironment,
    EditEnvironment,
    RetireEnvironment,
    full_name,
)
from services.registry.look_ups import retirement
from services.registry.readable import within
from services.registry.serving import queries
from services.registry.shapes.environments import (
    EnvironmentAnswer,
    EnvironmentChanges,
    Environments,
    EnvironmentsQuery,
    NewEnvironment,
    RetireReason,
    Serving,
    ServingQuery,
)
from shared.deciding.access import covers, namespace_of
from shared.deciding.decider import NotFound
from shared.deciding.environments import unknown_environment
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, Reply, Route


async def list_environments(call: Call[None, EnvironmentsQuery]) -> dict[str, Any]:
    call.require_any_role()
    q = call.query
    after = q.after(str, int, str) or ("", -1, "")
    rows = await call.app.list_rows(
        queries.LIST_ENVIRONMENTS, *after, q.retired, call.readable(), q.namespace, q.page_size
    )
    return {"items": [dict(row) for row in rows], "next_page_token": q.next_token(rows, *_SORTED)}


_SORTED = ("namespace", "order", "name")


async def create_environment(call: Call[NewEnvironment]) -> Reply:
    """Declare an environment. Its namespace's admin may; a global one needs an admin everywhere."""
    body = call.body
    namespace, name = _split(body.name)
    command = CreateEnvironment(namespace, name, body.production, body.order, body.description)
    await _submit(call, namespace, command)
    return await _answer(call, namespace, name, status=201)


async def read_environment(call: Call) -> Reply:
    call.require_any_role()
    return await _answer(call, *_split(call.path["environment"]))


async def change_environment(call: Call[EnvironmentChanges]) -> Reply:
    namespace, name = _split(call.path["environment"])
    command = EditEnvironment(namespace, name, call.body.order, call.body.description, call.if_match)
    await _submit(call, namespace, command)
    return await _answer(call, namespace, name)


async def retire_environment(call: Call[RetireReason]) -> Reply:
    namespace, name = _split(call.path["environment"])
    call.require("admin", namespace)
    permission = Permission("admin", namespace)
    command = RetireEnvironment(namespace, name, expected=call.if_match)
    await call.app.transactor.submit(
        retirement(command, call.cause(), call.actor, permission, call.body.reason)
    )
    return await _answer(call, namespace, name)


async def list_serving(call: Call[None, ServingQuery]) -> dict[str, Any]:
    """Return what serves where. A filter that names nothing is refused, so that a typo is no empty list."""
    call.require_any_role()
    q = call.query
    model = (await readable(call, q.model)).model_id if q.model else None
    after = q.after(str, str) or ("", "")
    filters = (q.environment, q.production, model, q.stopped)
    shown = within(call.readable(), q.namespace)
    rows = await call.app.list_rows(
        queries.serving_sql(shown), *after, shown, *filters, q.page_size, search=True
    )
    if not rows and q.environment is not None:
        await _check_declared(call, q.environment)
    return {
        "items": [dict(row) for row in rows],
        "next_page_token": q.next_token(rows, "model", "environment"),
    }


async def _check_declared(call: Call, name: str) -> None:
    """Raise NotFound unless an environment of this name is declared where the caller can see it."""
    every = ("", -1, "", True, call.readable(), None, 500)
    declared = {row["name"] for row in await call.app.pool.fetch(queries.LIST_ENVIRONMENTS, *every)}
    if name not in declared:
        raise unknown_environment(name, sorted(declared))


async def not_serving(call: Call, namespace: str, environment: str) -> NotFound:
    """Return the error for an environment in which nothing of a model serves: mistyped, or unused."""
    declared = [row["name"] for row in await call.app.pool.fetch(queries.NAMES_FOR, namespace)]
    if environment not in declared:
        return unknown_environment(environment, declared)
    return NotFound(
        "no_rollout", f"Nothing of this model serves in {environment!r:.60}: promote a version there."
    )


def _split(reference: str) -> tuple[str, str]:
    namespace = namespace_of(reference)
    return namespace, reference[len(namespace) + 1 :] if namespace else reference


async def _submit(call: Call, namespace: str, command: Any, reason: str = "") -> None:
    call.require("admin", namespace)
    permission = Permission("admin", namespace)
    await call.app.transactor.submit(
        Submission(command, (ENVIRONMENTS,), call.cause(), call.actor, permission=permission, reason=reason)
    )


async def _answer(call: Call, namespace: str, name: str, status: int = 200) -> Reply:
    """Return the environment. One that holds for no namespace of the caller does not exist for them."""
    row = await call.app.pool.fetchrow(queries.ENVIRONMENT, namespace, name)
    below = any(covers(namespace, one) for one in call.readable() or ())
    if row is None or not (not namespace or below or call.may_read(namespace)):
        visible = call.may_read(namespace)
        names = await call.app.pool.fetch(queries.NAMES_FOR, namespace if visible else "")
        raise unknown_environment(full_name(namespace, name), [one["name"] for one in names])
    return Reply(dict(row), status, etag=row["revision"])


_ONE = "/v1/environments/{environment}"
ROUTES = (
    Route(
        "GET",
        "/v1/environments",
        list_environments,
        "The environments that the caller may see, by namespace and order",
        query=EnvironmentsQuery,
        response=Environments,
        tags=["environments"],
    ),
    Route(
        "POST",
        "/v1/environments",
        create_environment,
        "Declare an environment",
        body=NewEnvironment,
        response=EnvironmentAnswer,
        status=201,
        tags=["environments"],
    ),
    Route(
        "GET", _ONE, read_environment, "One environment", response=EnvironmentAnswer, tags=["environments"]
    ),
    Route(
        "PATCH",
        _ONE,
        change_environment,
        "Change its order or description",
        body=EnvironmentChanges,
        response=EnvironmentAnswer,
        needs_if_match=True,
        tags=["environments"],
    ),
    Route(
        "POST",
        _ONE + ":retire",
        retire_environment,
        "Retire an environment that nothing uses",
        body=RetireReason,
        response=EnvironmentAnswer,
        tags=["environments"],
    ),
    Route(
        "GET",
        "/v1/serving",
        list_serving,
        "What serves where, over all models and environments",
        query=ServingQuery,
        response=Serving,
        tags=["rollouts"],
    ),
)
