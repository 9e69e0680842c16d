"""Decide which identities and logins are of one human being."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.registry.access.domain.identities import existing
from shared.deciding.access import ACCESS, AccessState, stream_of
from shared.deciding.decider import NotFound, RuleBroken, Streams, Unprocessable
from shared.deciding.links import IdentityLinked, IdentityUnlinked

MOST_LINKS = 10
"""Direct links of one identity, so that all identities of a person are few."""
LINKABLE = frozenset({"person", "publisher"})
_LOGIN = re.compile(r"[^\x00-\x20\x7f-\x9f][^\x00-\x1f\x7f-\x9f]{0,99}")


@dataclass(frozen=True, slots=True)
class LinkIdentity:
    """Count the identity and `other` as one person.

    `other` is an identity, or with `login` a name under which the person starts jobs. `by` is the actor's
    subject.
    """

    subject: str
    other: str
    by: str
    login: bool = False


@dataclass(frozen=True, slots=True)
class UnlinkIdentity:
    """Count the two as two people again. `own`: all identities of the actor, of every kind."""

    subject: str
    other: str
    by: str
    login: bool = False
    own: frozenset[str] = frozenset()


OfLink = LinkIdentity | UnlinkIdentity


def decide_link(command: OfLink, streams: Streams) -> Mapping[str, Sequence[Any]]:
    """Return the events of each stream, by its name; none for a link that is as it is wanted."""
    states = {one: streams.state(ACCESS, stream_of(one)) for one in subjects_of(command)}
    event: type[IdentityLinked | IdentityUnlinked] = IdentityUnlinked
    if isinstance(command, LinkIdentity):
        _check_link(command, states)
        if _is_linked(command, states[command.subject]):
            return {}
        event = IdentityLinked
    else:
        _check_unlink(command, states)
    written = {command.subject: command.other}
    if not command.login:
        written[command.other] = command.subject
    return {stream_of(one): [event(one, other, command.by, command.login)] for one, other in written.items()}


def subjects_of(command: OfLink) -> tuple[str, ...]:
    """Return the identities whose streams the command writes: a login has none."""
    return (command.subject,) if command.login else (command.subject, command.other)


def _is_linked(command: OfLink, state: AccessState) -> bool:
    return command.other in (state.links.logins if command.login else state.links.identities)


def _check_link(command: LinkIdentity, states: Mapping[str, AccessState]) -> None:
    if command.subject == command.other:
        raise Unprocessable("same_identity", "An identity is not linked with itself: name another one.")
    if not command.other or (command.login and not _LOGIN.fullmatch(command.other)):
        raise Unprocessable(
            "invalid_link",
            "Name the other identity, or a login of 1 to 100 characters without a control character.",
        )
    for subject, state in states.items():
        if existing(subject, state).kind not in LINKABLE:
            raise RuleBroken(
                "not_linkable",
                f"{subject} is a {state.kind}: link identities of people, or publishers of one person.",
            )
        if not _is_linked(command, states[command.subject]) and _count(state) >= MOST_LINKS:
            raise RuleBroken(
                "too_many_links", f"{subject} has {MOST_LINKS} links: remove one that is not used any more."
            )


def _count(state: AccessState) -> int:
    return len(state.links.identities) + len(state.links.logins)


def _check_unlink(command: UnlinkIdentity, states: Mapping[str, AccessState]) -> None:
    state = existing(command.subject, states[command.subject])
    if not _is_linked(command, state):
        raise NotFound(
            "unknown_link",
            f"{command.subject} is not linked with {command.other!r:.120}: see the identity's links.",
            subject=command.subject,
        )
    linked = {one for each in states.values() for one in each.links.identities}
    if {command.by, *command.own} & {command.subject, command.other, *linked}:
        raise RuleBroken(
            "own_identity",
            "By unlinking you would count as two people: ask another admin, who is neither of them.",
            subject=command.subject,
        )
