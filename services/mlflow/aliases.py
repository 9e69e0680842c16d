"""Aliases and stages. Where a namespace is governed, `production` is what serves, and requested.

In the mode `labels` both are free, and mean something to MLflow's clients only.
"""

from __future__ import annotations

import asyncio
from typing import Any

from services.mlflow import entities
from services.mlflow.call import Call, at
from services.mlflow.errors import Problem, conflict, invalid
from services.mlflow.models import shown
from services.mlflow.names import ACTIVE, check_alias, stage_of
from services.mlflow.versions import by_alias, shown_version

PRODUCTION = "production"
GRANT_WAITS = (0.2, 0.3, 0.5, 1.0)
"""Seconds between two looks for a promotion that needs no person: approval decides it immediately."""
Json = dict[str, Any]


async def set_alias(call: Call) -> Json:
    name, alias = call.text("name", required=True), check_alias(call.text("alias", required=True))
    row = await shown_version(call, name, call.text("version", required=True))
    if row["mode"] == "labels":
        await call.send("PUT", at(row["model"], "mlflow", "aliases", alias), {"number": row["number"]})
    elif environment := await _environment(call, row, alias):
        await _serve(call, row, environment)
    else:
        await call.send("PUT", at(row["model"], "aliases", alias), {"number": row["number"]})
    return {}


async def _environment(call: Call, row: Json, alias: str) -> str:
    """Return the environment whose champion the alias names, "" for an alias of its own."""
    model = await call.get(at(row["model"], "mlflow"))
    if alias == entities.CHAMPION and alias not in model["aliases"]:
        return PRODUCTION
    if alias in model["environments"] or alias == PRODUCTION:
        return alias
    found = await call.get("/environments", namespace=row["namespace"], page_size="500")
    return alias if alias in {one["name"] for one in found["items"]} else ""


async def _serve(call: Call, row: Json, environment: str) -> None:
    """Request the promotion of a version. Raises MlflowError unless it serves in the environment."""
    if environment in row["environments"]:
        return
    what = f"{row['model']} version {row['number']}"
    path = at(row["model"], "versions", row["number"])
    try:
        promotion = await _requested(call, path + ":promote", environment)
    except Problem as problem:
        problem.message = f"{what} is not promoted to {environment}: {problem.message}"
        raise
    for wait in GRANT_WAITS:
        found = await call.get(path)
        if any(one["environment"] == environment for one in found["rollouts"] if one["role"] == "champion"):
            return
        state = next(
            (one for one in found["promotions"] if one["promotion_id"] == promotion["promotion_id"]), None
        )
        if state is not None and state["state"] == "promoted":
            raise conflict(
                f"{what} is promoted to {environment}, and another version serves there. Switch the traffic: "
                f"`regista rollout switch {row['model']}@{row['number']} --environment {environment}`."
            )
        if state is not None and state["state"] == "refused":
            raise conflict(
                f"{what} is not promoted to {environment}: {'; '.join(state['reasons'] or ())}. "
                "Correct that, then set the alias again."
            )
        await asyncio.sleep(wait)
    review = promotion["promotion_id"]
    raise conflict(
        f"{what} is not approved for {environment} yet. Its promotion is requested: review {review} is open. "
        f"Approvers see it with `regista reviews show {review}`. Once approved, it serves where no other "
        "version does; else set the alias again, and the answer names how to switch the traffic. "
        f"`models:/{call.inner(row['model'])}@{environment}` loads what serves."
    )


async def _requested(call: Call, path: str, environment: str) -> Json:
    """Request the promotion: where nothing serves, its grant also switches the traffic."""
    body = {"environment": environment, "reason": "requested by a client of MLflow"}
    try:
        promotion: Json = await call.send("POST", path, body | {"serve": True})
    except Problem as problem:
        if problem.problem != "serves_already":
            raise
        promotion = await call.send("POST", path, body)
    return promotion


async def delete_alias(call: Call) -> Json:
    """Remove an alias. Nothing happens when there is none."""
    name = call.text("name", required=True)
    alias = check_alias(call.text("alias", required=True), reserved=False)
    row = await shown(call, name)
    if row["mode"] == "labels":
        await call.send("DELETE", at(row["model"], "mlflow", "aliases", alias))
    elif alias in row["aliases"]:
        await call.send("DELETE", at(row["model"], "aliases", alias))
    elif alias in entities.aliases_of(row):
        raise conflict(
            f"{alias} is what serves, and no alias of its own: `regista rollout stop {row['model']}` ends it."
        )
    return {}


async def read_by_alias(call: Call) -> Json:
    name = call.text("name", required=True)
    alias = check_alias(call.text("alias", required=True), reserved=False)
    return {"model_version": entities.version(call, await by_alias(call, name, alias))}


async def transition(call: Call) -> Json:
    """Change the stage that MLflow's clients see.

    Where governed, it follows from gates and promotions: `Production` requests one, and other stages are
    refused with what leads to them, unless the version has them already.
    """
    name, version = call.text("name", required=True), call.text("version", required=True)
    stage, archive = stage_of(call.text("stage", required=True)), call.flag("archive_existing_versions")
    if archive and stage not in ACTIVE:
        raise invalid(
            "Model version transition cannot archive existing model versions because "
            f"'{stage}' is not an Active stage. Valid stages are {list(ACTIVE)}"
        )
    row = await shown_version(call, name, version)
    if row["mode"] == "labels":
        path = at(row["model"], "versions", row["number"], "mlflow")
        await call.send("POST", path, {"stage": stage, "archive_existing": archive})
    elif stage == "Production":
        await _serve(call, row, PRODUCTION)
    elif row["label"] != stage:
        raise conflict(_refused(row, stage))
    return {"model_version": entities.version(call, await shown_version(call, name, version))}


def _refused(row: Json, stage: str) -> str:
    """Return why a stage is not set by hand, and what leads to it."""
    reference = f"{row['model']}@{row['number']}"
    leads = {
        "Staging": f"its automated gates: `regista versions show {reference}` shows what they lack",
        "Archived": f"leaving production, or `regista versions retire {reference}`",
        "None": f"`regista reopen {reference}`, for an archived version",
    }[stage]
    return (
        f"{row['model']} version {row['number']} is {row['stage']} in Regista ({row['label']} for MLflow). "
        f"Its namespace is governed, so stages are not set by hand; what leads to {stage}: {leads}."
    )
