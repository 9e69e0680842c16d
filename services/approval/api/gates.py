"""The gates of a version: get, assess."""

from __future__ import annotations

from typing import Any

from services.approval import queries
from services.approval.look_ups import assessment
from services.approval.shapes.gates import GatesAnswer
from shared.deciding.decider import NotFound, Unprocessable
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, Route
from shared.log.transact import routed


async def get_gates(call: Call) -> dict[str, Any]:
    return await _gates(call, await _model(call))


async def assess_gates(call: Call) -> dict[str, Any]:
    """Assess the gates of a version again. Nothing is stored when nothing changed."""
    model = await _model(call)
    await _gates(call, model)
    cause, permission = call.cause(), Permission("engineer", queries.namespace(model))

    async def build() -> Submission:
        found = await assessment(call.app, model["model_id"], _number(call), lambda _: cause)
        return Submission(found.command, found.streams, cause, call.actor, found.depends_on, permission)

    await routed(call.app.transactor, build)
    return await _gates(call, model)


async def _model(call: Call) -> dict[str, Any]:
    model = await queries.find_model(call.app.pool, call.path["model"])
    if model is None or not call.may_read_model(model["model_id"], queries.namespace(model)):
        raise NotFound(
            "unknown_model",
            f"approval has no model {call.path['model']} with a complete version: check its id or full name, "
            "or repeat later",
        )
    return model


def _number(call: Call) -> int:
    text = call.path["number"]
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        raise Unprocessable("not_a_number", "name the version by its running number")
    return int(text)


async def _gates(call: Call, model: dict[str, Any]) -> dict[str, Any]:
    found = await queries.gates_of(call.app.pool, model, _number(call))
    if found is None:
        raise NotFound(
            "unknown_version",
            f"approval has no version {call.path['number']} of {model['model']}: check the number, or repeat "
            "later; a draft has no gates until it is complete",
        )
    return found


_GATES = "/v1/models/{model}/versions/{number}/gates"
ROUTES = (
    Route(
        "GET",
        _GATES,
        get_gates,
        "Get the latest verdicts of a version's gates",
        response=GatesAnswer,
        tags=["gates"],
    ),
    Route(
        "POST",
        _GATES + ":evaluate",
        assess_gates,
        "Assess the gates of a version again",
        response=GatesAnswer,
        tags=["gates"],
    ),
)
