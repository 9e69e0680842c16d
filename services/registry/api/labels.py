"""What clients of MLflow see and set: the modes of namespaces, labels, searches."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from services.registry.api.calls import look_ups, model_of, number_of, parts, submit
from services.registry.api.registrations import submit_registration
from services.registry.api.remarks import submit_edit
from services.registry.domain.labels.labels import HideModel, RemoveLabelAlias, SetLabels
from services.registry.domain.labels.modes import EVERYWHERE, STREAM, SetMlflowMode
from services.registry.labels import queries
from services.registry.look_ups import ModelRef, unknown_model
from services.registry.shapes.labels import (
    OF_MODELS,
    LabelAlias,
    LabelChange,
    MlflowModel,
    MlflowModels,
    MlflowVersion,
    MlflowVersions,
    ModeAnswer,
    ModeChange,
    ModelVisibility,
    Search,
)
from services.registry.shapes.remarks import VersionDescription
from services.registry.shapes.versions import Registration
from services.registry.trained_message import RegistrationMessage
from shared.deciding.access import permits
from shared.deciding.decider import NotFound, Unprocessable
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, Reply, Route


async def read_mode(call: Call) -> dict[str, Any]:
    call.require_any_role()
    return await _mode(call)


async def set_mode(call: Call[ModeChange]) -> dict[str, Any]:
    """Choose the mode of a namespace. Its admin may; that of `*` needs an admin everywhere."""
    namespace = call.path["namespace"]
    where = "" if namespace == EVERYWHERE else namespace
    call.require("admin", where)
    command = SetMlflowMode(namespace, call.body.mode)
    permission = Permission("admin", where)
    await call.app.transactor.submit(
        Submission(
            command, (STREAM,), call.cause(), call.actor, permission=permission, reason=call.body.reason
        )
    )
    return await _mode(call)


async def _mode(call: Call) -> dict[str, Any]:
    namespace = call.path["namespace"]
    row = await call.app.pool.fetchrow(queries.MODE_OF, "" if namespace == EVERYWHERE else namespace)
    return {"namespace": namespace, "mode": row["mode"]}


async def show_model(call: Call) -> dict[str, Any]:
    return await _model(call, await model_of(call))


async def set_visibility(call: Call[ModelVisibility]) -> dict[str, Any]:
    model = await model_of(call)
    command = HideModel(model.model_id, call.body.hidden)
    await submit(call, model, command, role=_role(call, model), depends_on=(STREAM,), reason=call.body.reason)
    return await _model(call, model)


async def show_version(call: Call) -> dict[str, Any]:
    model = await model_of(call)
    return await _version(call, model, await number_of(call, model))


async def change_labels(call: Call[LabelChange]) -> dict[str, Any]:
    model, body = await model_of(call), call.body
    number = await number_of(call, model)
    command = SetLabels(
        model.model_id, number, body.stage, body.archive_existing, hide=body.hidden is not None
    )
    await submit(call, model, command, role=_role(call, model), depends_on=(STREAM,), reason=body.reason)
    return await _version(call, model, number)


async def register_version(call: Call[RegistrationMessage]) -> dict[str, Any]:
    """Register a draft that came from elsewhere, of a model that MLflow's clients see by this name."""
    if not call.body.draft or call.body.external is None:
        raise Unprocessable(
            "not_external",
            "What MLflow's clients register is a draft with `external`: send `draft: true` and `external`.",
        )
    model = await model_of(call)
    await _check_shown(call, model)
    outcome, _ = await submit_registration(call)
    registered = next(one for one in outcome.events if one.type == "VersionRegistered")
    return await _version(call, model, registered.event.number)


async def describe_version(call: Call[VersionDescription]) -> dict[str, Any]:
    """Change description and tags of a version that MLflow's clients see."""
    model = await model_of(call)
    number = await number_of(call, model)
    await _check_shown(call, model, number)
    await submit_edit(call, model, number, {})
    return await _version(call, model, number)


async def _check_shown(call: Call[Any], model: ModelRef, number: int = 0) -> None:
    """Raise NotFound unless MLflow's clients see the model by the name in the path, and the version."""
    seen = await parts(call).shown.names.get((model.model_id, number))
    if seen is None or seen["hidden"] or seen["name"] != call.path["model"]:
        raise NotFound(
            "not_shown",
            "MLflow's clients see no such model or version by this name: it was deleted for them, or "
            "renamed. Create it again, or use the model's present name.",
        )


async def read_alias(call: Call) -> dict[str, Any]:
    model = await model_of(call)
    found = await parts(call).shown.aliases.get((model.model_id, call.path["alias"]))
    number = found["number"] if found else None
    if number is None:
        raise NotFound(
            "unknown_alias",
            f"The model has no alias {call.path['alias']!r:.80}, and no version serves in an environment of "
            "that name: see its aliases and rollouts.",
        )
    return await _version(call, model, number)


async def set_alias(call: Call[LabelAlias]) -> dict[str, Any]:
    model, number = await model_of(call), call.body.number
    command = SetLabels(model.model_id, number, alias=call.path["alias"])
    await submit(call, model, command, role=_role(call, model), depends_on=(STREAM,))
    return await _version(call, model, number)


async def remove_alias(call: Call) -> None:
    model = await model_of(call)
    command = RemoveLabelAlias(model.model_id, call.path["alias"])
    await submit(call, model, command, role=_role(call, model), depends_on=(STREAM,))


async def search_models(call: Call[Search]) -> dict[str, Any]:
    """Return a page of the models that the caller may read."""
    call.require_any_role()
    fields = {c.field for c in call.body.conditions if c.tag is None} | {o.field for o in call.body.order}
    if foreign := sorted(fields - OF_MODELS):
        raise Unprocessable("unknown_field", f"Models have no {', '.join(foreign)}: use name or a tag.")
    rows, more = await _page(call, queries.models_sql)
    newest = await queries.newest(call.app.pool, [row["model_id"] for row in rows])
    return {"items": [{**row, "newest": newest.get(row["model_id"], [])} for row in rows], "more": more}


async def search_versions(call: Call[Search]) -> Reply:
    """Return a page of the versions that the caller may read."""
    call.require_any_role()
    page, more = await _page(call, partial(queries.versions_sql, models=await _named(call)))
    read = partial(call.app.list_rows, queries.VERSIONS_IN_STATE)
    items = await parts(call).shown.documents.of(page, read)
    return Reply(b'{"items":[%b],"more":%b}' % (b",".join(items), b"true" if more else b"false"))


async def _named(call: Call[Search]) -> list[str] | None:
    """Return the ids of the models that the search names, None where these may be very many."""
    named = [
        c
        for c in call.body.conditions
        if c.field == "name" and c.tag is None and c.comparison in queries.NARROW
    ]
    if names := {c.values[0] for c in named if c.comparison == "="}:
        found = [await look_ups(call).models.find(name) for name in sorted(names)]
        return [model.model_id for model in found if model]
    if not named:
        return None
    sql, values = queries.named_sql(named)
    ids = [row["model_id"] for row in await call.app.list_rows(sql, *values, search=True)]
    return ids if len(ids) <= queries.MOST_NAMED else None


async def _page(call: Call[Search], statement: Any) -> tuple[list[Mapping[str, Any]], bool]:
    search = call.body
    sql, values = statement(search.model_copy(update={"limit": search.limit + 1}), call.readable())
    rows = await call.app.list_rows(sql, *values, search=True)
    return rows[: search.limit], len(rows) > search.limit


async def _model(call: Call, model: ModelRef) -> dict[str, Any]:
    row = await parts(call).shown.models.get(model.model_id)
    if row is None:
        raise unknown_model(model.model_id)
    return row


async def _version(call: Call, model: ModelRef, number: int) -> dict[str, Any]:
    row = await parts(call).shown.versions.get((model.model_id, number))
    if row is None:
        raise NotFound("unknown_version", f"There is no version {number}: see the model's list of versions.")
    return row


def _role(call: Call[Any], model: ModelRef) -> str:
    """Return the role that the change needs: publisher, or engineer for those who are that only."""
    return "publisher" if permits(call.access_state, "publisher", model.namespace) else "engineer"


_MODEL = "/v1/models/{model}/mlflow"
_VERSION = "/v1/models/{model}/versions/{version}/mlflow"
_ALIAS = _MODEL + "/aliases/{alias}"
_MODE = "/v1/mlflow/modes/{namespace}"
_SHOWN = "as MLflow's clients see it"
ROUTES = (
    Route("GET", _MODEL, show_model, f"A model {_SHOWN}", response=MlflowModel, tags=["mlflow"]),
    Route(
        "POST",
        _MODEL,
        set_visibility,
        "Hide a model from MLflow's clients, or show it again",
        body=ModelVisibility,
        response=MlflowModel,
        tags=["mlflow"],
    ),
    Route(
        "POST",
        _MODEL + "/versions",
        register_version,
        "Register a version as MLflow's clients do: a draft that came from elsewhere",
        body=RegistrationMessage,
        contract=Registration,
        response=MlflowVersion,
        status=201,
        tags=["mlflow"],
    ),
    Route("GET", _VERSION, show_version, f"A version {_SHOWN}", response=MlflowVersion, tags=["mlflow"]),
    Route(
        "POST",
        _VERSION,
        change_labels,
        "Change what MLflow's clients see of a version, in the mode labels",
        body=LabelChange,
        response=MlflowVersion,
        tags=["mlflow"],
    ),
    Route(
        "POST",
        _VERSION + ":describe",
        describe_version,
        "Change the description and tags of a version that MLflow's clients see",
        body=VersionDescription,
        response=MlflowVersion,
        tags=["mlflow"],
    ),
    Route(
        "GET",
        _ALIAS,
        read_alias,
        "The version that an alias names for MLflow's clients",
        response=MlflowVersion,
        tags=["mlflow"],
    ),
    Route(
        "PUT",
        _ALIAS,
        set_alias,
        "Set an alias that only MLflow's clients see, in the mode labels",
        body=LabelAlias,
        response=MlflowVersion,
        tags=["mlflow"],
    ),
    Route(
        "DELETE",
        _ALIAS,
        remove_alias,
        "Remove an alias that only MLflow's clients see, in the mode labels",
        status=204,
        tags=["mlflow"],
    ),
    Route(
        "POST",
        "/v1/mlflow/models:search",
        search_models,
        "Models by the conditions that MLflow's clients send",
        body=Search,
        response=MlflowModels,
        tags=["mlflow"],
    ),
    Route(
        "POST",
        "/v1/mlflow/versions:search",
        search_versions,
        "Versions by the conditions that MLflow's clients send",
        body=Search,
        response=MlflowVersions,
        tags=["mlflow"],
    ),
    Route(
        "GET", _MODE, read_mode, "The mode of a namespace for MLflow", response=ModeAnswer, tags=["mlflow"]
    ),
    Route(
        "PUT",
        _MODE,
        set_mode,
        "Choose what MLflow's clients may do in a namespace",
        body=ModeChange,
        response=ModeAnswer,
        tags=["mlflow"],
    ),
)
