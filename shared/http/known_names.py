"""Find which of the texts that a caller typed are names that the log has, and may be recorded."""

from __future__ import annotations

import asyncpg

from shared.deciding.access import namespace_of
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.http.routes import Call


def typed(call: Call) -> set[str]:
    """Return the texts in the path and in the query of a request."""
    return {*call.path.values(), *call.request.query_params.values()}


async def known_names(call: Call) -> set[str]:
    """Return the typed texts that are names.

    They are names of identities, of the model that was found, and of what the service's `known_names` finds,
    also after an `@`. While PostgreSQL is unavailable the last are none.
    """
    texts, identities = typed(call), call.app.access.identities
    known = {text for text in texts if identities.state_of(text).kind}
    if call.model_id:
        known.add(call.path.get("model", ""))
    if not call.app.known_names:
        return known
    wanted = {text.removeprefix("@") for text in texts} | {namespace_of(text) for text in texts}
    try:
        rows = await call.app.pool.fetch(call.app.known_names, sorted(wanted - {""}))
    except (asyncpg.PostgresError, Unavailable, *CONNECTION_ERRORS) as error:
        raise_if_cancelled()
        POSTGRES.report(error)
        return known
    found = {row["name"] for row in rows}
    return known | found | {f"@{name}" for name in found}
