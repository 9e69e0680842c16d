"""Decide about roles: of one identity, or of a group and all its members.

A member's own stream holds every role that it has through a group, so that a check reads one stream.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import assert_never

from regista.wire.names import may_exist
from services.registry.access.domain.commands import (
    AddMember,
    GrantRole,
    RemoveMember,
    RevokeRole,
    WithMembers,
)
from services.registry.access.domain.identities import existing
from shared.deciding.access import (
    EVERYWHERE,
    ROLES,
    AccessEvent,
    AccessState,
    MemberAdded,
    MemberRemoved,
    RoleGranted,
    RoleRevoked,
    evolve_access,
    grant_key,
    permits,
    stream_of,
)
from shared.deciding.decider import Misrouted, RuleBroken, Streams, Unprocessable

MOST_MEMBERS = 200

States = Mapping[str, AccessState]
Events = Mapping[str, Sequence[AccessEvent]]


def decide_roles(command: WithMembers, streams: Streams) -> Mapping[str, Sequence[AccessEvent]]:
    """Return the events of each stream, by its name. Raise Misrouted when the group has other members."""
    subjects = {state_name.partition("-")[2] for state_name in streams.states}
    found = decide(command, {subject: streams.states[stream_of(subject)] for subject in subjects})
    return {stream_of(subject): events for subject, events in found.items() if events}


def decide(command: WithMembers, states: States) -> Events:
    """Return the events by subject."""
    match command:
        case GrantRole():
            events = _grant(command, states)
        case RevokeRole():
            events = _revoke(command, states)
        case AddMember():
            events = _add(command, states)
        case RemoveMember():
            events = _remove(command, states)
        case _:
            assert_never(command)
    _check_admin_stays(command.by, states, events)
    return events


def _grant(command: GrantRole, states: States) -> Events:
    _check_grant(command)
    state, name = (
        existing(command.subject, states[command.subject]),
        grant_key(command.role, command.namespace),
    )
    if command.bootstrap and (name in state.grants or name in state.ended):
        return {}
    state = _with_members(command, states)
    if command.by in {command.subject, *command.members}:
        raise RuleBroken(
            "own_role",
            f"{command.by} cannot grant a role to themselves: ask another admin.",
            subject=command.subject,
        )
    if name in state.grants:
        return {}
    own = {command.subject: [RoleGranted(command.subject, command.role, command.namespace, by=command.by)]}
    return own | {
        member: [RoleGranted(member, command.role, command.namespace, command.subject, command.by)]
        for member in command.members
    }


def _revoke(command: RevokeRole, states: States) -> Events:
    state = _with_members(command, states)
    if grant_key(command.role, command.namespace) not in state.grants:
        _check_not_through_group(command, state)
        return {}
    own = {command.subject: [RoleRevoked(command.subject, command.role, command.namespace)]}
    return own | {
        member: [RoleRevoked(member, command.role, command.namespace, command.subject)]
        for member in command.members
    }


def _add(command: AddMember, states: States) -> Events:
    group, member = _group(command, states), existing(command.member, states[command.member])
    if member.kind not in {"person", "publisher"}:
        raise RuleBroken(
            "no_member", f"{command.member} is a {member.kind}: only people and publishers are members."
        )
    if command.member == command.by:
        raise RuleBroken("own_role", f"{command.by} cannot join a group by themselves: ask another admin.")
    if command.member in group.members:
        return {}
    if len(group.members) >= MOST_MEMBERS:
        raise RuleBroken(
            "group_full", f"{command.subject} has {MOST_MEMBERS} members: create a second group."
        )
    granted = [
        RoleGranted(command.member, g.role, g.namespace, command.subject, command.by)
        for _, g in sorted(group.grants.items())
    ]
    return {command.subject: [MemberAdded(command.subject, command.member)], command.member: granted}


def _remove(command: RemoveMember, states: States) -> Events:
    group, member = _group(command, states), states[command.member]
    if command.member not in group.members:
        return {}
    revoked = [
        RoleRevoked(command.member, g.role, g.namespace, g.group)
        for _, g in sorted(member.grants.items())
        if g.group == command.subject
    ]
    return {command.subject: [MemberRemoved(command.subject, command.member)], command.member: revoked}


def _with_members(command: GrantRole | RevokeRole, states: States) -> AccessState:
    """Return the state of the subject. Raise Misrouted when the command names other members than it has."""
    state = existing(command.subject, states[command.subject])
    if set(state.members) != command.members:
        raise Misrouted("members_changed", f"The members of {command.subject} changed: repeat the request.")
    return state


def _group(command: AddMember | RemoveMember, states: States) -> AccessState:
    group = existing(command.subject, states[command.subject])
    if group.kind != "group":
        raise RuleBroken("no_group", f"{command.subject} is a {group.kind}, not a group: name a group.")
    return group


def _check_not_through_group(command: RevokeRole, state: AccessState) -> None:
    """Refuse to revoke what the identity holds through a group only: it would keep the role."""
    groups = sorted(
        g.group
        for g in state.grants.values()
        if g.group and (g.role, g.namespace) == (command.role, command.namespace)
    )
    if groups:
        raise RuleBroken(
            "role_of_group",
            f"{command.subject} is {command.role} in {command.namespace} as a member of "
            f"{', '.join(groups)}: remove the member from the group, or revoke the role of the group.",
        )


def _check_admin_stays(by: str, states: States, events: Events) -> None:
    """Refuse a change by which its own actor is no longer admin everywhere.

    Another admin may make it. An admin who takes the role from another keeps it: one admin is always left.
    """
    before = states.get(by)
    if before is None or not permits(before, "admin", EVERYWHERE):
        return
    after = before
    for event in events.get(by, ()):
        after = evolve_access(after, event)
    if not permits(after, "admin", EVERYWHERE):
        raise RuleBroken(
            "own_admin_role",
            f"{by} cannot give up the role admin everywhere, and may be the last who has it: ask another "
            "admin to revoke it.",
            subject=by,
        )


def _check_grant(command: GrantRole) -> None:
    if command.role not in ROLES:
        raise Unprocessable(
            "unknown_role", f"{command.role!r:.40} is no role: use one of {', '.join(ROLES)}."
        )
    if command.namespace != EVERYWHERE and not may_exist(command.namespace):
        raise Unprocessable(
            "invalid_namespace",
            f"{command.namespace!r:.80} is no namespace: use a dotted name, or '{EVERYWHERE}' for "
            "everywhere.",
        )
