"""What the endpoints share: the model and version in a path, permissions, and submitting a command."""

from __future__ import annotations

import re
from difflib import get_close_matches
from typing import Any

from services.registry.domain.model.state import LATEST, stream_of
from services.registry.look_ups import LookUps, ModelRef, unknown_model
from services.registry.parts import Parts
from services.registry.serving import queries
from services.registry.shapes.common import LARGEST
from services.registry.trained_message import VersionMessage
from shared.deciding.access import permits
from shared.deciding.appointments import issued_a_key
from shared.deciding.decider import NotFound
from shared.deciding.submission import Outcome, Permission, Submission
from shared.http.routes import Call
from shared.identity.recognised import recognised

_SEMVER = re.compile(r"\d+\.\d+\.\d+", re.ASCII)


def parts(call: Call) -> Parts:
    """Return the caches and batchers of this process."""
    return call.app.parts_as(Parts)


def look_ups(call: Call) -> LookUps:
    """Return the look-ups of this process."""
    return parts(call).look_ups


async def model_of(call: Call) -> ModelRef:
    """Return the model in the path. Raise NotFound for one in a namespace where the caller has no role."""
    return await readable(call, call.path["model"])


async def readable(call: Call, reference: str) -> ModelRef:
    """Return the model of this name or id. Raise NotFound unless it exists and the caller may read it."""
    model = await look_ups(call).models.get(reference)
    if not call.may_read_model(model.model_id, model.namespace):
        raise unknown_model(reference)
    return model


async def check_parents(call: Call, message: VersionMessage) -> None:
    """Raise NotFound for a parent that the caller may not read, whether it exists or not."""
    await look_ups(call).check_parents(message, call.may_read)


async def number_of(call: Call, model: ModelRef, reference: str | None = None) -> int:
    """Return the number of the version that `reference` (or the path) names.

    A reference is a number, a semantic version, or `@` with `latest`, an alias or an environment. Raise
    NotFound for others.
    """
    if reference is None:
        reference = call.path["version"]
    number: int | None = None
    if reference.isascii() and reference.isdecimal():
        number = small_number(reference)
    elif _SEMVER.fullmatch(reference) or reference.startswith("@"):
        number = await parts(call).numbers.get((model.model_id, reference))
    if number is None:
        why = await why_none(call, model, reference[1:]) if reference.startswith("@") else ""
        raise NotFound(
            "unknown_version",
            f"{reference!r:.80} names no version: use a number, a semantic version, or @ with an alias, an "
            f"environment where a version serves, or `latest` (the newest that may be used).{why}",
        )
    return number


def small_number(text: str) -> int | None:
    """Return the number that the text is, None for a text that is no number of a version or note."""
    if not (text.isascii() and text.isdecimal() and len(text) <= len(str(LARGEST))):
        return None
    return int(text) if int(text) <= LARGEST else None


async def why_none(call: Call, model: ModelRef, name: str) -> str:
    """Return why `name` names no version of the model, or the alias or environment nearest to it, or ""."""
    if name == LATEST:
        return " No version may be used: each is a draft, rejected, withdrawn or retired."
    rows = await call.app.pool.fetch(queries.NAMES_OF_MODEL, model.namespace, model.model_id)
    names = {row["name"] for row in rows} | {LATEST}
    if name in names:
        return f" No version serves in {name}: `regista promote` with --serve requests it for the first one."
    near = get_close_matches(name.lower(), sorted(names), n=1)
    return f" Did you mean @{near[0]}?" if near else ""


def own_role(call: Call[Any], model: ModelRef, *roles: str) -> tuple[str, bool]:
    """Return the first of the roles that the caller has there, and False.

    A caller without any of them needs the role publisher, and True is returned: own versions only.
    """
    role = next((role for role in roles if permits(call.access_state, role, model.namespace)), "")
    return (role, False) if role else ("publisher", True)


async def other_identities(call: Call[Any]) -> frozenset[str]:
    """Return the subjects of other identities that count as the caller's.

    They have a name in common, are linked, or one of the two issued a key of the other, directly or through
    others.
    """
    me, identities = call.actor.subject, call.app.access.identities
    subjects = {state.subject for state in identities.all() if state.kind == "person"}
    people = await recognised(call.app.pool, call.app.access, subjects | {me})
    return frozenset(
        s
        for s in subjects - {me}
        if people[me].is_same(people[s]) or issued_a_key(me, s, identities.state_of)
    )


async def submit(
    call: Call,
    model: ModelRef,
    command: Any,
    *,
    role: str,
    streams: tuple[str, ...] = (),
    depends_on: tuple[str, ...] = (),
    also: tuple[str, ...] = (),
    reason: str = "",
) -> Outcome:
    """Submit a command on the model's stream (and `streams`) in the caller's name.

    It reads the streams `depends_on`. The transaction checks the role, and the roles in `also`, again.
    """
    call.require(role, model.namespace)
    permission = Permission(role, model.namespace)
    written = (stream_of(model.model_id), *streams)
    return await call.app.transactor.submit(
        Submission(
            command,
            written,
            call.cause(),
            call.actor,
            depends_on=depends_on,
            permission=permission,
            reason=reason,
            also=tuple(Permission(one, model.namespace) for one in also),
        )
    )
