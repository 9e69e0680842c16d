"""Decide which identities and logins are of one human being."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.registry.access.domain.identities import existing
from shared.deciding.access import ACCESS, AccessState, stream_of
from shared.deciding.decider import Misrouted, NotFound, RuleBroken, Streams, Unprocessable
from shared.deciding.links import IdentityLinked, IdentityUnlinked, subject_of_login
from shared.deciding.one_person import MOST, subjects_of_person
from shared.deciding.person import folded_name

MOST_LINKS = 10
"""Direct links of one identity or login, so that all identities of a person are few."""
LINKABLE = frozenset({"person", "publisher"})
_LOGIN = re.compile(r"[^\x00-\x20\x7f-\x9f][^\x00-\x1f\x7f-\x9f]{0,99}")


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Count the identity and `other` as one person.

    `other` is an identity, or with `login` a name under which the person starts jobs. `by` is the actor's
    subject. `called`: the identities whose subject is the login, in any spelling, as of the locks.
    """

    subject: str
    other: str
    by: str
    login: bool = False
    called: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class UnlinkIdentity:
    """Count the two as two people again. `own`: all identities and logins of the actor, of every kind."""

    subject: str
    other: str
    by: str
    login: bool = False
    own: frozenset[str] = frozenset()


OfLink = LinkIdentity | UnlinkIdentity


def decide_link(command: OfLink, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the events of each stream, by its name; none for one that has the link as it is wanted."""
    subject, other = subjects_of(command)
    states = {one: streams.state(ACCESS, stream_of(one)) for one in (subject, other)}
    held = {subject: _held(states[subject], command), other: states[other].links.identities & {subject}}
    if isinstance(command, LinkIdentity):
        _check_link(command, states, held)
        linked = {
            subject: IdentityLinked(subject, command.other, command.by, command.login),
            other: IdentityLinked(other, subject, command.by),
        }
        return {stream_of(one): [event] for one, event in linked.items() if not held[one]}
    _check_unlink(command, states[subject], held[subject], streams)
    return {
        stream_of(one): [
            IdentityUnlinked(one, which, command.by, command.login and one == subject)
            for which in sorted(held[one])
        ]
        for one in (subject, other)
    }


def subjects_of(command: OfLink) -> tuple[str, str]:
    """Return the subjects whose streams the command writes: a login has one, too."""
    return command.subject, subject_of_login(command.other) if command.login else command.other


def _held(state: AccessState, command: OfLink) -> frozenset[str]:
    """Return the link as the subject has it: a login in each spelling that it was linked in."""
    if not command.login:
        return state.links.identities & {command.other}
    wanted = folded_name(command.other)
    return frozenset(login for login in state.links.logins if folded_name(login) == wanted)


def _check_link(
    command: LinkIdentity, states: Mapping[str, AccessState], held: Mapping[str, frozenset[str]]
) -> None:
    if command.subject == command.other and not command.login:
        raise Unprocessable("same_identity", "An identity is not linked with itself: name another one.")
    visible = _LOGIN.fullmatch(command.other) and folded_name(command.other)
    if not command.other or (command.login and not visible):
        raise Unprocessable(
            "invalid_link",
            "Name the other identity, or a login of 1 to 100 characters without a control character.",
        )
    if command.login and command.called:
        raise RuleBroken(
            "login_is_identity",
            f"{', '.join(command.called)} is an identity, and jobs name it as one: link it as an identity.",
        )
    for subject, state in states.items():
        is_login = command.login and subject != command.subject
        if not is_login:
            _check_linkable(subject, state)
        if not held[subject] and _count(state) >= MOST_LINKS:
            named = f"The login {command.other!r}" if is_login else subject
            raise RuleBroken(
                "too_many_links", f"{named} has {MOST_LINKS} links: remove one that is not used any more."
            )


def _check_linkable(subject: str, state: AccessState) -> None:
    if existing(subject, state).kind not in LINKABLE:
        raise RuleBroken(
            "not_linkable",
            f"{subject} is a {state.kind}: link identities of people, or publishers of one person.",
        )


def _count(state: AccessState) -> int:
    return len(state.links.identities) + len(state.links.logins)


def _check_unlink(
    command: UnlinkIdentity, state: AccessState, held: frozenset[str], streams: Streams
) -> None:
    existing(command.subject, state)
    if not held:
        raise NotFound(
            "unknown_link",
            f"{command.subject} is not linked with {command.other!r:.120}: see the identity's links.",
            subject=command.subject,
        )
    if len(command.own) >= MOST:
        raise RuleBroken(
            "not_independent",
            f"{MOST} identities and logins or more are linked with you, and no more are looked at: ask "
            "another admin.",
            subject=command.subject,
        )
    if {command.by, *command.own} & _person_of(command.subject, streams):
        raise RuleBroken(
            "own_identity",
            "You count as one of them: you are linked with one, have the name of one, or one of you issued a "
            "key of the other. By unlinking you could count as two people: ask an admin for whom none of "
            "this holds.",
            subject=command.subject,
        )


def _person_of(subject: str, streams: Streams) -> set[str]:
    """Return the subject and all linked with it. Raise Misrouted when one was not looked up."""

    def state_of(subject: str) -> AccessState:
        if stream_of(subject) not in streams.states:
            raise Misrouted("links_unknown", f"{subject} was linked in the meantime; repeat the request.")
        return streams.state(ACCESS, stream_of(subject))

    return set(subjects_of_person(subject, state_of))
