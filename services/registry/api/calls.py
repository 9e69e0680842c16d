"""What the endpoints share: the model and the version that a path names, who may ask, and how a command is sent."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, StringConstraints

from services.registry.domain.model.state import stream_of
from services.registry.look_ups import Intake, Place
from services.registry.parts import Parts
from services.registry.queries import FIND_ALIAS, FIND_NUMBER
from shared.deciding.access import ANY_ROLE, permits
from shared.deciding.decider import NotFound
from shared.deciding.submission import Outcome, Permission, Submission
from shared.http.routes import Body, Call

_SEMVER = re.compile(r"\d+\.\d+\.\d+", re.ASCII)
LARGEST = 2**31 - 1


Why = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=2_000)]
"""What an auditor will ask for: it can neither be left out nor be blank."""


class Reason(Body):
    """Why, where there is something to say."""

    reason: str = Field(default="", max_length=2_000)


class Because(Body):
    """Why. It stands in the audit trail for ever."""

    reason: Why


def intake(call: Call) -> Intake:
    """Names to ids, cached by this process."""
    return call.app.parts_as(Parts).intake


async def model_of(call: Call) -> Place:
    """The model in the path, for anybody who has a role in its namespace."""
    place = await intake(call).models.get(call.path["model"])
    call.require(ANY_ROLE, place.namespace)
    return place


async def number_of(call: Call, place: Place, reference: str = "") -> int:
    """The version that the path (or `reference`) names: a number, a semantic version, or `@` with an alias or an environment."""
    reference = reference or call.path["version"]
    number: int | None = None
    if reference.isascii() and reference.isdecimal():
        number = int(reference) if int(reference) <= LARGEST else None
    elif _SEMVER.fullmatch(reference):
        number = await call.app.pool.fetchval(FIND_NUMBER, place.model_id, reference)
    elif reference.startswith("@"):
        number = await call.app.pool.fetchval(FIND_ALIAS, place.model_id, reference[1:])
    if number is None:
        raise NotFound(
            "unknown_version",
            f"{reference!r:.80} names no version: use a number, a semantic version, or @ with an alias or environment.",
        )
    return number


def is_admin(call: Call, place: Place) -> bool:
    """Whether the caller may act as admin there; the command then asks for that role."""
    return permits(call.access_state, "admin", place.namespace)


async def send(
    call: Call, place: Place, command: Any, *, role: str, streams: tuple[str, ...] = (), reason: str = ""
) -> Outcome:
    """Runs a command on the model's stream (and `streams`), in the caller's name.

    The role is checked again inside the transaction.
    """
    call.require(role, place.namespace)
    permission = Permission(role, place.namespace)
    written = (stream_of(place.model_id), *streams)
    return await call.app.transactor.submit(
        Submission(command, written, call.cause(), call.actor, permission=permission, reason=reason)
    )
