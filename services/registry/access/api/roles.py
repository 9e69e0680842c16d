"""Roles of identities and of groups, and the members of groups."""

from __future__ import annotations

from dataclasses import replace
from difflib import get_close_matches

from services.registry.access import queries
from services.registry.access.api.calls import ADMIN, answer, submission, transactor
from services.registry.access.domain.commands import AddMember, GrantRole, RemoveMember, RevokeRole
from services.registry.access.shapes import Grant, IdentityAnswer, Member
from shared.deciding.access import ANY_ROLE, EVERYWHERE, covers, permits
from shared.deciding.submission import Permission, Submission
from shared.http.routes import Call, Reply, Route
from shared.log.transact import routed


async def grant_role(call: Call[Grant]) -> Reply:
    """Grant a role. A role of a group is a role of each of its members."""
    subject, body = call.path["subject"], call.body
    permission = _administered(body.namespace)
    call.require(permission.role, permission.namespace)

    async def build() -> Submission:
        members = await _members(call, subject)
        command = GrantRole(subject, body.role, body.namespace, call.actor.subject, members=members)
        return submission(call, command, (subject, *sorted(members)), permission, reason=body.reason)

    await routed(transactor(call), build)
    granted = await answer(call, subject)
    return replace(granted, body=granted.body | {"notes": await _notes(call, body.namespace)})


async def _notes(call: Call[Grant], namespace: str) -> list[str]:
    """Return that the namespace has no model, with the nearest of those that have one and are readable."""
    if namespace == EVERYWHERE:
        return []
    rows = await call.app.pool.fetch(queries.NAMESPACES)
    used = [row["namespace"] for row in rows]
    if any(covers(namespace, one) for one in used):
        return []
    readable = {one for one in used if permits(call.access_state, ANY_ROLE, one)}
    near = get_close_matches(namespace, sorted(readable), n=1)
    meant = f" (did you mean {near[0]}?)" if near else ""
    return [f"no model is in the namespace {namespace} yet{meant}: the role has an effect once one is"]


async def revoke_role(call: Call[None, Grant]) -> None:
    subject, query = call.path["subject"], call.query
    permission = _administered(query.namespace)
    call.require(permission.role, permission.namespace)

    async def build() -> Submission:
        members = await _members(call, subject)
        command = RevokeRole(subject, query.role, query.namespace, call.actor.subject, members)
        return submission(call, command, (subject, *sorted(members)), permission, reason=query.reason)

    await routed(transactor(call), build)


async def add_member(call: Call[Member]) -> Reply:
    """Add a person or publisher to a group. Its members have every role of the group."""
    call.require("admin", "")
    group, member = call.path["subject"], call.body.member
    command = AddMember(group, member, call.actor.subject)
    await transactor(call).submit(submission(call, command, (group, member), ADMIN, reason=call.body.reason))
    return await answer(call, group)


async def remove_member(call: Call[None, Member]) -> None:
    call.require("admin", "")
    group, member = call.path["subject"], call.query.member
    command = RemoveMember(group, member, call.actor.subject)
    await transactor(call).submit(submission(call, command, (group, member), ADMIN, reason=call.query.reason))


async def _members(call: Call, subject: str) -> frozenset[str]:
    return frozenset(row["member"] for row in await call.app.pool.fetch(queries.MEMBERS, subject))


def _administered(namespace: str) -> Permission:
    """Return the admin who may grant there: roles everywhere need an admin of everything."""
    return Permission("admin", "" if namespace == EVERYWHERE else namespace)


_ONE = "/v1/access/identities/{subject}"
ROUTES = (
    Route(
        "PUT",
        _ONE + "/roles",
        grant_role,
        "Grant a role",
        body=Grant,
        response=IdentityAnswer,
        tags=["access"],
    ),
    Route("DELETE", _ONE + "/roles", revoke_role, "Take a role back", query=Grant, tags=["access"]),
    Route(
        "PUT",
        _ONE + "/members",
        add_member,
        "Add a member to a group",
        body=Member,
        response=IdentityAnswer,
        tags=["access"],
    ),
    Route(
        "DELETE",
        _ONE + "/members",
        remove_member,
        "Remove a member of a group",
        query=Member,
        tags=["access"],
    ),
)
