"""What endpoints for reviews and promotions share: people and their names, and running a decision."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from services.approval import queries
from services.approval.domain.approving import Approve, Reject
from services.approval.domain.override import Override
from services.approval.domain.review import ReviewOverride
from services.approval.domain.version_gates import stream_of as gate_stream
from shared.deciding.access import AccessState
from shared.deciding.access import stream_of as access_stream
from shared.deciding.appointments import everyone_behind
from shared.deciding.decider import RuleBroken
from shared.deciding.person import Person
from shared.deciding.submission import Outcome, Permission, Submission
from shared.http.routes import Call
from shared.identity import directory
from shared.identity.recognised import recognised
from shared.log.transact import routed

PeopleCommand = Approve | Override | ReviewOverride
"""Decisions that only independent people may make."""


async def printed_name(call: Call[Any, Any], role: str, namespace: str) -> str:
    """Return the caller's printed name. Raises RuleBroken when there is none.

    A caller without the role is refused for that (Forbidden): a name would not help. A signature shows the
    name, and the name is compared with the makers that the version's metadata names.
    """
    found = await directory.stored_name(call.app.pool, call.actor.subject)
    if not found.name:
        call.require(role, namespace)
        raise RuleBroken(
            "no_printed_name",
            "the directory has no printed name for you; ask an admin to set it (`regista access set-name`)",
            subject=call.actor.subject,
        )
    return found.name


async def shown_name(call: Call[Any, Any]) -> str:
    """Return the caller's printed name, or the subject where there is none."""
    return (await directory.stored_name(call.app.pool, call.actor.subject)).name or call.actor.subject


def identity(call: Call[Any, Any], subject: str) -> AccessState:
    """Return an identity, as new as this process has it: from the last decision, or from memory."""
    decided: AccessState = call.app.transactor.states.get(access_stream(subject)).state
    known = call.app.access.identities.state_of(subject)
    return decided if decided.revision > known.revision else known


async def people_for(
    call: Call[Any, Any], subjects: Iterable[str], names: Iterable[str]
) -> dict[str, Person]:
    """Return all by which these subjects, those who appointed them, and these names are recognised."""
    return await recognised(call.app.pool, call.app.access, {*behind(call, subjects), *names})


def behind(call: Call[Any, Any], subjects: Iterable[str]) -> list[str]:
    """Return the subjects, and everyone who appointed them, each with all identities of that person."""
    state_of = partial(identity, call)
    return sorted({one for subject in subjects for one in everyone_behind(subject, state_of)})


async def decide(
    call: Call[Any, Any],
    row: Mapping[str, Any],
    command: PeopleCommand | Reject,
    role: str,
    names: Iterable[str] = (),
    earlier: Iterable[str] = (),
    also: Iterable[str] = (),
) -> Outcome:
    """Run a decision about one promotion. The transaction checks the role, and the roles in `also`.

    `row`: the review or the promotion. `names`: the people who may not decide; `earlier`: who has decided.
    The streams and the people are looked up again when they have changed.
    """
    cause, permission = call.cause(), Permission(role, queries.namespace(row))
    others_needed = tuple(Permission(one, permission.namespace) for one in also)
    others, excluded = tuple(earlier), tuple(names)

    async def build() -> Submission:
        streams = await queries.streams_for(
            call.app.pool, command.model_id, command.number, [command.promotion_id]
        )
        writes, reads = streams.writes, streams.depends_on
        about: PeopleCommand | Reject = command
        if isinstance(command, Override | ReviewOverride):
            model = gate_stream(command.model_id)
            writes, reads = (*writes, model), tuple(stream for stream in reads if stream != model)
        if not isinstance(command, Reject):
            subjects = (command.by, *others)
            reads += tuple(access_stream(subject) for subject in behind(call, subjects))
            about = replace(command, people=await people_for(call, subjects, excluded))
        return Submission(
            command=about,
            streams=writes,
            cause=cause,
            actor=call.actor,
            depends_on=reads,
            permission=permission,
            also=others_needed,
            reason=command.reason if isinstance(command, Reject | Override) else "",
        )

    return await routed(call.app.transactor, build)
