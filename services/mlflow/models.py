"""Registered models: create, read, change, rename, delete, search."""

from __future__ import annotations

from typing import Any, Generic, TypeVar

import msgspec

from regista.wire.mlflow_names import pattern
from services.mlflow import entities, filters
from services.mlflow.call import Call, at
from services.mlflow.errors import MlflowError, Problem, conflict, invalid, no_model
from services.mlflow.names import check_name, check_tag, check_tags, check_text, stage_of

MOST = 1_000
Json = dict[str, Any]
T = TypeVar("T")


async def shown(call: Call, name: str) -> Json:
    """Return the registry's view of a model that the client sees. Raises MlflowError.

    A former name is no name for MLflow; the message names the present one.
    """
    wanted = call.outer(check_name(name))
    try:
        row: Json = await call.get(at(wanted, "mlflow"))
    except Problem as problem:
        if problem.problem in {"unknown_model", "http_404"}:
            raise no_model(name) from None
        raise
    if row["hidden"]:
        raise no_model(name)
    if row["model"] != wanted:
        raise no_model(name, f": its name is now {call.inner(row['model'])}")
    return row


async def create(call: Call) -> Json:
    name, tags = check_name(call.text("name", required=True)), check_tags(call.tags())
    description = check_text("description", call.text("description"))
    body = {"name": call.outer(name), "description": description, "tags": tags}
    try:
        await call.send("POST", "/models", body)
    except Problem as problem:
        if problem.problem != "name_taken":
            raise
        await _show_again(call, name, description, tags)
    return {"registered_model": entities.model(call, await shown(call, name))}


async def _show_again(call: Call, name: str, description: str, tags: dict[str, str]) -> None:
    """Give a deleted model's name to the client again. Raises MlflowError when a model has the name."""
    outer = call.outer(name)
    row = await call.get(at(outer, "mlflow"))
    if row["model"] != outer:
        raise MlflowError(
            "RESOURCE_ALREADY_EXISTS",
            f"Registered Model (name={name}) already exists: it was renamed to {call.inner(row['model'])}, "
            "and names are never given twice. Choose another name.",
        )
    if not row["hidden"]:
        raise _taken(name, _kind(row["tags"]), _kind(tags))
    removed = dict.fromkeys(row["tags"])
    await call.send("PATCH", at(outer), {"description": description, "tags": {**removed, **tags}})
    await call.send("POST", at(outer, "mlflow"), {"hidden": False, "reason": "created again"})


def _kind(tags: Json) -> str:
    """Return what MLflow calls a model with these tags: a prompt is a model with one of them."""
    return "Prompt" if tags.get(filters.IS_PROMPT, "").lower() == "true" else "Registered Model"


def _taken(name: str, old: str, new: str) -> MlflowError:
    message = f"{new} (name={name}) already exists."
    if old != new:
        message = (
            f"Tried to create a {new.lower()} with name '{name}', but the name is already taken by a "
            f"{old.lower()}. A model and a prompt have no name together: choose another."
        )
    return MlflowError("RESOURCE_ALREADY_EXISTS", message)


async def read(call: Call) -> Json:
    return {"registered_model": entities.model(call, await shown(call, call.text("name", required=True)))}


async def update(call: Call) -> Json:
    name = call.text("name", required=True)
    row = await shown(call, name)
    description = check_text("description", call.text("description"))
    await call.send("PATCH", at(row["model"]), {"description": description})
    return {"registered_model": entities.model(call, await shown(call, name))}


async def rename(call: Call) -> Json:
    """Rename a model. Its former name is then unknown to MLflow's clients."""
    name, new_name = call.text("name", required=True), call.text("new_name", required=True)
    row = await shown(call, name)
    check_name(new_name, "new_name")
    try:
        await call.send("PATCH", at(row["model"]), {"name": call.outer(new_name)})
    except Problem as problem:
        if problem.problem == "name_taken":
            raise MlflowError(
                "RESOURCE_ALREADY_EXISTS",
                f"Registered Model (name={new_name}) already exists. {problem.message}",
            ) from None
        if problem.problem == "namespace_changes":
            raise invalid(problem.message) from None
        raise
    return {"registered_model": entities.model(call, await shown(call, new_name))}


async def delete(call: Call) -> Json:
    """Let clients see the model no more. Its log stays."""
    row = await shown(call, call.text("name", required=True))
    try:
        await call.send("POST", at(row["model"], "mlflow"), {"hidden": True, "reason": "deleted"})
    except Problem as problem:
        if problem.status == 409:
            raise conflict(problem.message) from None
        raise
    return {}


async def search(call: Call) -> Json:
    limit = call.number("max_results", 100, MOST)
    found = filters.parse(call.text("filter"), filters.MODEL_FIELDS)
    rows, token = await page(call, "models", found, filters.MODEL_ORDERS, limit, dict)
    return {"registered_models": [entities.model(call, row) for row in rows], **token}


class Page(msgspec.Struct, Generic[T]):
    """A page as the registry answers it. `more`: there are further ones."""

    items: list[T]
    more: bool


async def page(
    call: Call, what: str, found: filters.Filter, known: dict[str, str], limit: int, items: type[T]
) -> tuple[list[T], Json]:
    """Return a page of models or versions, each decoded to the type `items`, and the next one's token."""
    offset = filters.offset_of(call.text("page_token"))
    body = {
        "conditions": [_in_workspace(call, condition) for condition in found.conditions],
        "order": filters.orders(call.texts("order_by"), known),
        "namespace": call.workspace,
        "prompts": found.prompts,
        "offset": offset,
        "limit": min(limit, 10_000),
    }
    got = await call.send("POST", f"/mlflow/{what}:search", body, form=Page[items])  # type: ignore[valid-type]
    next_one = {"next_page_token": filters.token_of(offset + len(got.items))} if got.more else {}
    return got.items, next_one


def _in_workspace(call: Call, condition: Json) -> Json:
    """Return a condition on the full names of models, as they are in Regista."""
    if condition["field"] != "name" or "tag" in condition:
        return condition
    if "LIKE" not in condition["comparison"]:
        return {**condition, "values": [call.outer(value) for value in condition["values"]]}
    space = f"{call.workspace}.".replace("_", r"\_") if call.workspace else ""
    return {**condition, "values": [space + pattern(value) for value in condition["values"]]}


async def latest_versions(call: Call) -> Json:
    """Return the newest version of each stage. `Production` is the one that serves, where governed."""
    row = await shown(call, call.text("name", required=True))
    wanted = {stage_of(stage) for stage in call.texts("stages")}
    newest = [one for one in row["newest"] if not wanted or one["label"] in wanted]
    return {"model_versions": [entities.version(call, one) for one in newest]}


async def set_tag(call: Call) -> Json:
    name, key = call.text("name", required=True), call.text("key", required=True)
    tags = check_tags({key: call.text("value")})
    row = await shown(call, name)
    await call.send("PATCH", at(row["model"]), {"tags": tags})
    return {}


async def delete_tag(call: Call) -> Json:
    name, key = call.text("name", required=True), check_tag(call.text("key", required=True))
    row = await shown(call, name)
    if key in row["tags"]:
        await call.send("PATCH", at(row["model"]), {"tags": {key: None}})
    return {}
