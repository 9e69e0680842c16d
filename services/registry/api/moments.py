"""Moments: when something happened to a model, for whom wants to see it as it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from services.registry.api.calls import model_of
from services.registry.as_of.moments import Moment, life
from services.registry.shapes.moments import MomentsOfModel, MomentsQuery
from shared.http.moments import end
from shared.http.routes import Call, Route


async def list_moments(call: Call[None, MomentsQuery]) -> dict[str, Any]:
    """Return the moments of the model in the path, for everyone who may read it."""
    model = await model_of(call)
    at = end(call.query.at, datetime.now(UTC))
    found = await life(call.app.pool, model.model_id, at)
    return {
        "model_id": model.model_id,
        "at": at,
        "items": [_shown(moment) for moment in found.moments],
        "before": _shown(found.before) if found.before else None,
        "after": _shown(found.after) if found.after else None,
        "complete": found.complete,
    }


def _shown(moment: Moment) -> dict[str, Any]:
    return {
        "at": moment.recorded_at,
        "type": moment.type,
        "by": moment.actor.subject,
        "number": moment.data.number,
        "environment": moment.data.environment,
    }


ROUTES = (
    Route(
        "GET",
        "/v1/models/{model}/moments",
        list_moments,
        "When something happened to a model",
        query=MomentsQuery,
        response=MomentsOfModel,
        tags=["models"],
    ),
)
