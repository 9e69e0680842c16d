"""What several endpoints do: find the model of a request, and check that the caller may read it."""

from __future__ import annotations

from services.cleanup import queries
from services.cleanup.queries import Model
from shared.deciding.access import namespace_of
from shared.deciding.decider import NotFound
from shared.http.routes import Call


async def model_of(call: Call, name_or_id: str) -> Model:
    """Return the model of this name or id. Raises NotFound unless it exists and the caller may read it."""
    found = await queries.model(call.app.pool, name_or_id)
    if found is None or not call.may_read(namespace_of(found.name)):
        raise NotFound(
            "unknown_model",
            f"There is no model {name_or_id!r} here that you may read: check the name, or wait if it was "
            "just registered.",
        )
    return found
