"""What the endpoints share: submitting a command, and the answer with an identity."""

from __future__ import annotations

import hmac
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec

from services.registry.access import queries
from services.registry.access.domain.commands import AccessCommand, CreateIdentity
from services.registry.access.domain.identities import streams_read
from services.registry.access.domain.issuers import OfIssuer
from services.registry.access.domain.links import OfLink
from services.registry.access.domain.trusts import OfTrust
from shared.deciding.access import EVERYWHERE, PARTITION, AccessState, permits, stream_of
from shared.deciding.decider import NotFound
from shared.deciding.submission import Cause, Outcome, Permission, Submission
from shared.http.routes import Call, Reply
from shared.log.transact import Transactor

ADMIN = Permission("admin", "")


def transactor(call: Call) -> Transactor:
    """Return what runs commands about identities."""
    return call.app.transactors[PARTITION]


async def submit(
    call: Call, command: AccessCommand | OfIssuer | OfTrust, permission: Permission = ADMIN, reason: str = ""
) -> Outcome:
    """Submit a command on the stream of one identity. The transaction checks the permission again."""
    made = submission(call, command, (command.subject,), permission, reason=reason)
    if isinstance(command, CreateIdentity):
        made = replace(made, depends_on=streams_read(command))
    return await transactor(call).submit(made)


def submission(
    call: Call,
    command: AccessCommand | OfIssuer | OfTrust | OfLink,
    subjects: tuple[str, ...],
    permission: Permission,
    *,
    reason: str = "",
) -> Submission:
    """Return the submission that writes the streams of these subjects."""
    streams = tuple(stream_of(subject) for subject in subjects)
    return Submission(command, streams, _keyed_cause(call), call.actor, permission=permission, reason=reason)


def _keyed_cause(call: Call) -> Cause:
    """Key the request's digest with the pepper: without it, trying names would find a name in the body."""
    cause = call.cause()
    return replace(cause, digest=hmac.digest(call.app.settings.pepper.encode(), cause.digest, "sha256"))


def held_roles(state: AccessState) -> list[dict[str, str]]:
    """Return the roles of an identity as answers show them."""
    roles = sorted((g.role, g.namespace, g.group) for g in state.grants.values())
    return [{"role": r, "namespace": n, "group": g} for r, n, g in roles]


async def answer(call: Call, subject: str, status: int = 200) -> Reply:
    """Return the identity, as far as the caller may see it.

    An admin of namespaces sees the roles there; an admin of everything, and the subject itself, see all.
    """
    row = await call.app.pool.fetchrow(queries.IDENTITY, subject)
    if row is None:
        raise NotFound(
            "unknown_identity", f"There is no identity {subject!r:.120}: check the name, or create it."
        )
    sees_all = subject == call.actor.subject or permits(call.access_state, "admin", EVERYWHERE)
    found = with_group_roles(call, row)
    return Reply(found if sees_all else _in_own_namespaces(call, found), status)


def with_group_roles(call: Call, row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a row about an identity, with the roles of its groups at trusted issuers among its roles."""
    identities, subject = call.app.access.identities, row["subject"]
    if not identities.state_of(subject).sign_ins:
        return dict(row)
    own = msgspec.json.decode(row["roles"])
    return {**row, "roles": [*own, *(r for r in held_roles(identities.with_roles(subject)) if r not in own)]}


def _in_own_namespaces(call: Call, row: Mapping[str, Any]) -> dict[str, Any]:
    roles = [
        role
        for role in _decoded(row["roles"])
        if role["namespace"] != EVERYWHERE and permits(call.access_state, "admin", role["namespace"])
    ]
    return {**row, "roles": roles, "keys": None, "members": None, "links": None}


def _decoded(roles: Any) -> list[dict[str, str]]:
    """Return roles that are JSON of the database, or a list already."""
    return roles if isinstance(roles, list) else list(msgspec.json.decode(roles))
