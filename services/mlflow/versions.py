"""Model versions: create, read, change, delete, search."""

from __future__ import annotations

from typing import Any

from services.mlflow import entities, filters, uploads
from services.mlflow.call import Call, at
from services.mlflow.errors import MlflowError, Problem, conflict, invalid, no_version
from services.mlflow.models import page, shown
from services.mlflow.names import (
    RESERVED,
    check_link,
    check_source,
    check_tag,
    check_tags,
    check_text,
    check_version,
    stage_of,
)
from services.mlflow.repeats import Repeats, digest_of, is_old
from services.mlflow.sources import ModelUri, model_uri

MOST = 200_000
LATEST = "latest"
"""The alias of the newest version. Clients read it only."""
Json = dict[str, Any]


async def shown_version(call: Call, name: str, version: str) -> Json:
    """Return the registry's view of a version that the client sees. Raises MlflowError."""
    number = check_version(version)
    try:
        model = await shown(call, name)
    except MlflowError as missing:
        if missing.status == 404:
            raise no_version(name, version, f": {missing.message}") from None
        raise
    row = await _row(call, model["model"], number) if number else None
    if row is None:
        raise no_version(name, version)
    return row


async def _row(call: Call, model: str, number: int) -> Json | None:
    try:
        row: Json = await call.get(at(model, "versions", number, "mlflow"))
    except Problem as problem:
        if problem.problem == "unknown_version":
            return None
        raise
    return None if row["hidden"] else row


async def create(call: Call, repeats: Repeats) -> tuple[Json, tuple[str, int]]:
    """Register a draft with what its files state. Return it, and what to record once it is answered."""
    name, source = call.text("name", required=True), check_source(call.text("source", required=True))
    tags = check_tags(_own_tags(call, source))
    description = check_text("description", call.text("description"))
    external = {
        "uri": source,
        "run_id": check_text("run_id", call.text("run_id")),
        "run_link": check_link("run_link", call.text("run_link")),
        "model_id": check_text("model_id", call.text("model_id")),
    }
    model = await shown(call, name)
    body = {"draft": True, "external": external, **await _known(call, external)}
    digest = digest_of(call.key, model["model_id"], external, tags, description)
    number, row = await _registered(call, model, body, digest, repeats)
    if description or tags:
        described = {"description": description or None, "set_tags": tags}
        path = at(model["model"], "versions", row["number"]) + ":describe"
        await call.send("POST", path, described, idempotency_key=f"mlflow-{digest}-{number}-described")
    await uploads.complete(call, model["model"], row["number"])
    return await _answer(call, model["model"], row["number"]), (digest, number)


def _own_tags(call: Call, source: str) -> dict[str, str]:
    """Return the tags of a new version: a copy gets none of those that Regista shows of its original."""
    is_copy = model_uri(source) is not None
    return {k: v for k, v in call.tags().items() if not (is_copy and k.startswith(RESERVED))}


async def _registered(call: Call, model: Json, body: Json, digest: str, repeats: Repeats) -> tuple[int, Json]:
    """Register the version, or return the one that a lost answer was about."""
    number = repeats.first(digest)
    while True:
        key = f"mlflow-{digest}-{number}"
        try:
            row = await call.send("POST", at(model["model"], "versions"), body, idempotency_key=key)
        except Problem as problem:
            if not problem.problem.startswith("idempotency"):
                raise
        else:
            if not is_old(entities.millis(row["registered_at"])):
                return number, row
        number += 1


async def _known(call: Call, external: Json) -> Json:
    """Return what is known of the version: the files that the caller uploaded, or those of a copied one."""
    if (uri := model_uri(external["uri"])) is None:
        return await uploads.known(call, external)
    number = await number_of(call, uri)
    found = await call.get(at(call.outer(uri.name), "versions", number))
    external["uri"] = f"models:/{uri.name}/{number}"
    original = found.get("external") or {}
    for name in ("run_id", "model_id"):
        external[name] = external[name] or original.get(name, "")
    if found["artifact"] is None:
        return {}
    copied = {name: found[name] for name in ("artifact", "training") if found[name]}
    return copied | ({"signature": found["schema"]} if found["schema"] else {})


async def number_of(call: Call, uri: ModelUri) -> int:
    """Return the number of the version that `models:/name/…` names. Raises MlflowError."""
    if uri.version:
        row = await shown_version(call, uri.name, uri.version)
        return int(row["number"])
    model = await shown(call, uri.name)
    if uri.alias:
        row = await by_alias(call, uri.name, uri.alias)
        return int(row["number"])
    return int(newest(model, uri.name, stage_of(uri.stage) if uri.stage else "")["number"])


def newest(model: Json, name: str, stage: str = "") -> Json:
    """Return the newest version of a model, or of one of its stages. Raises MlflowError without any."""
    found = [one for one in model["newest"] if not stage or one["label"] == stage]
    if not found:
        of_stage = f" and stage '{stage}'" if stage else ""
        raise MlflowError(
            "RESOURCE_DOES_NOT_EXIST", f"No versions of model with name '{name}'{of_stage} found."
        )
    latest: Json = max(found, key=lambda one: int(one["number"]))
    return latest


async def by_alias(call: Call, name: str, alias: str) -> Json:
    """Return the registry's view of the version that an alias names. Raises MlflowError."""
    model = await shown(call, name)
    if alias.lower() == LATEST:
        return newest(model, name)
    try:
        row: Json = await call.get(at(model["model"], "mlflow", "aliases", alias))
    except Problem as problem:
        if problem.status == 404:
            raise invalid(f"Registered model alias {alias} not found.") from None
        raise
    if row["hidden"]:
        raise invalid(f"Registered model alias {alias} not found.")
    return row


async def _answer(call: Call, model: str, number: int) -> Json:
    row = await _row(call, model, number)
    if row is None:
        raise no_version(call.inner(model), number)
    return {"model_version": entities.version(call, row)}


async def _named(call: Call) -> Json:
    return await shown_version(call, call.text("name", required=True), call.text("version", required=True))


async def read(call: Call) -> Json:
    row = await _named(call)
    await uploads.read_later(call, row)
    return {"model_version": entities.version(call, row)}


async def update(call: Call) -> Json:
    row = await _named(call)
    description = check_text("description", call.text("description"))
    await _describe(call, row, {"description": description})
    return await _answer(call, row["model"], row["number"])


async def _describe(call: Call, row: Json, body: Json) -> None:
    await call.send("POST", at(row["model"], "versions", row["number"]) + ":describe", body)


async def delete(call: Call) -> Json:
    """Retire a version; in the mode `labels`, only let clients see it no more."""
    row = await _named(call)
    path = at(row["model"], "versions", row["number"])
    if row["mode"] == "labels":
        await call.send("POST", path + "/mlflow", {"hidden": True, "reason": "deleted by a client of MLflow"})
        return {}
    try:
        await call.send("POST", path + ":retire", {"reason": "deleted by a client of MLflow"})
    except Problem as problem:
        if problem.status == 409:
            raise conflict(problem.message) from None
        raise
    return {}


async def search(call: Call) -> Json:
    limit = call.number("max_results", 10_000, MOST)
    found = filters.parse(call.text("filter"), filters.VERSION_FIELDS)
    rows, token = await page(call, "versions", found, filters.VERSION_ORDERS, limit)
    return {"model_versions": [entities.version(call, row) for row in rows], **token}


async def set_tag(call: Call) -> Json:
    tags = check_tags({call.text("key", required=True): call.text("value")})
    await _describe(call, await _named(call), {"set_tags": tags})
    return {}


async def delete_tag(call: Call) -> Json:
    key = check_tag(call.text("key", required=True))
    await _describe(call, await _named(call), {"remove_tags": [key]})
    return {}


async def download_uri(call: Call) -> Json:
    """Return where the files are: verified ones in the artifact proxy, else the source as it was given."""
    row = await _named(call)
    for _ in range(10):  # a copy may be a copy of a copy
        source = (row["external"] or {}).get("uri", "")
        if (uri := model_uri(source)) is None:
            return {"artifact_uri": entities.verified_uri(call, row) or source}
        row = await shown_version(call, uri.name, str(await number_of(call, uri)))
    raise conflict(f"{call.inner(row['model'])} version {row['number']} names no files: see its source.")
