"""What endpoints for reviews and promotions share: the caller's printed name, and running a decision."""

from __future__ import annotations

from typing import Any

from services.approval import queries
from services.approval.domain.approving import Approve, Reject
from services.approval.domain.override import Override
from shared.deciding.decider import RuleBroken
from shared.deciding.submission import Outcome, Permission, Submission
from shared.http.routes import Call
from shared.identity import directory
from shared.log.transact import routed


async def printed_name(call: Call[Any, Any]) -> directory.StoredName:
    """Return the caller's printed name, now and before. Raises RuleBroken when there is none.

    A signature shows the name, and the name is compared with the makers that the version's metadata names.
    """
    found = await directory.stored_name(call.app.pool, call.actor.subject)
    if not found.name:
        raise RuleBroken(
            "no_printed_name",
            "the directory has no printed name for you; ask an admin to set it (`regista access set-name`)",
            subject=call.actor.subject,
        )
    return found


async def shown_name(call: Call[Any, Any]) -> str:
    """Return the caller's printed name, or the subject where there is none."""
    return (await directory.stored_name(call.app.pool, call.actor.subject)).name or call.actor.subject


async def decide(
    call: Call[Any, Any], row: dict[str, Any], command: Approve | Reject | Override, role: str
) -> Outcome:
    """Run a decision about one promotion. The transaction checks the role.

    `row`: the review or the promotion. The streams are looked up again when they have changed.
    """
    cause, permission = call.cause(), Permission(role, queries.namespace(row))

    async def build() -> Submission:
        streams = await queries.streams_for(
            call.app.pool, command.model_id, command.number, [command.promotion_id]
        )
        return Submission(
            command=command,
            streams=streams.writes,
            cause=cause,
            actor=call.actor,
            depends_on=streams.depends_on,
            permission=permission,
            reason="" if isinstance(command, Approve) else command.reason,
        )

    return await routed(call.app.transactor, build)
