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
    check_name,
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
    number, wanted = check_version(version), call.outer(check_name(name))
    row = await _row(call, wanted, number) if number else None
    if row is None or row["model"] != wanted:
        raise await _missing(call, name, version)
    return row


async def _missing(call: Call, name: str, version: str) -> MlflowError:
    """Return that there is no such version, and what is wrong with the model where that is the reason."""
    try:
        await shown(call, name)
    except MlflowError as missing:
        if missing.status == 404:
            return no_version(name, version, f": {missing.message}")
        raise
    return no_version(name, version)


async def _row(call: Call, model: str, number: int) -> Json | None:
    try:
        row: Json = await call.get(at(model, "versions", number, "mlflow"))
    except Problem as problem:
        if problem.status == 404:
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
    wanted = call.outer(check_name(name))
    try:
        body = {"draft": True, "external": external, **await _known(call, external)}
        digest = digest_of(call.key, wanted, external, tags, description)
        number, row = await _registered(call, wanted, body, digest, repeats)
    except MlflowError as error:
        if error.status in {400, 404}:
            await shown(call, name)  # states what is wrong with the model first
        raise
    if row["hidden"]:  # a repeated request, whose version was deleted meanwhile
        raise no_version(name, row["number"])
    if description or tags:
        described = {"description": description or None, "set_tags": tags}
        path = at(wanted, "versions", row["number"], "mlflow") + ":describe"
        key = f"mlflow-{digest}-{number}-described"
        row = await call.send("POST", path, described, idempotency_key=key)
    if row["artifact_digest"]:
        row = await uploads.complete(call, row)
    return {"model_version": entities.version(call, row)}, (digest, number)


def _own_tags(call: Call, source: str) -> dict[str, str]:
    """Return the tags of a new version: a copy gets none of those that Regista shows of its original."""
    is_copy = model_uri(source) is not None
    return {k: v for k, v in call.tags().items() if not (is_copy and k.startswith(RESERVED))}


async def _registered(call: Call, model: str, body: Json, digest: str, repeats: Repeats) -> tuple[int, Json]:
    """Register the version, or return the one that a lost answer was about."""
    number = repeats.first(digest)
    while True:
        key = f"mlflow-{digest}-{number}"
        try:
            row = await call.send("POST", at(model, "mlflow", "versions"), body, idempotency_key=key)
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
    if uri.alias:
        row = await by_alias(call, uri.name, uri.alias)
        return int(row["number"])
    model = await shown(call, uri.name)
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
    if alias.lower() == LATEST:
        return newest(await shown(call, name), name)
    wanted = call.outer(check_name(name))
    row: Json | None = None
    try:
        row = await call.get(at(wanted, "mlflow", "aliases", alias))
    except Problem as problem:
        if problem.status != 404:
            raise
    if row is None or row["hidden"] or row["model"] != wanted:
        await shown(call, name)  # states what is wrong with the model first
        raise invalid(f"Registered model alias {alias} not found.")
    return row


async def _named(call: Call) -> Json:
    return await shown_version(call, call.text("name", required=True), call.text("version", required=True))


async def read(call: Call) -> Json:
    row = await _named(call)
    await uploads.read_later(call, row)
    return {"model_version": entities.version(call, row)}


async def update(call: Call) -> Json:
    description = check_text("description", call.text("description"))
    row = await _described(call, {"description": description})
    return {"model_version": entities.version(call, row)}


async def _described(call: Call, body: Json) -> Json:
    """Change description and tags of the version that the request names. Return the version."""
    name, version = call.text("name", required=True), call.text("version", required=True)
    number, wanted = check_version(version), call.outer(check_name(name))
    try:
        if number:
            row: Json = await call.send("POST", at(wanted, "versions", number, "mlflow") + ":describe", body)
            return row
    except Problem as problem:
        if problem.status != 404:
            raise
    await shown(call, name)  # states what is wrong with the model first
    raise no_version(name, version)


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
    await _described(call, {"set_tags": tags})
    return {}


async def delete_tag(call: Call) -> Json:
    key = check_tag(call.text("key", required=True))
    await _described(call, {"remove_tags": [key]})
    return {}


async def download_uri(call: Call) -> Json:
    """Return where the files are: verified ones in the artifact proxy, else the source as it was given."""
    row = await uploads.arrived(call, await _named(call))
    for _ in range(10):  # a copy may be a copy of a copy
        source = (row["external"] or {}).get("uri", "")
        if (uri := model_uri(source)) is None:
            return {"artifact_uri": entities.verified_uri(call, row) or source}
        row = await shown_version(call, uri.name, str(await number_of(call, uri)))
    raise conflict(f"{call.inner(row['model'])} version {row['number']} names no files: see its source.")
