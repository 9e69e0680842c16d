"""Declare the first environments when the registry starts with none."""

from __future__ import annotations

from services.registry.domain.serving.environment import ENVIRONMENTS, DeclareFirst
from services.registry.serving import queries
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission, request_digest
from shared.http.app import App


async def declare_first(app: App) -> None:
    """Declare `production`, and what was used before environments were declared; once."""
    used = tuple(row["environment"] for row in await app.pool.fetch(queries.USED))
    cause = Cause("registry/environments", "first", request_digest(b"first"))
    command = DeclareFirst(used)
    await app.transactor.submit(Submission(command, (ENVIRONMENTS,), cause, Actor("system:registry")))
