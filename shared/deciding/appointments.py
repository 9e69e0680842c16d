"""Who created, keyed or granted an identity: directly, or through identities that were appointed themselves.

Who issued a key may have it, and who has the key of a machine can act as it. So what the machine does for
others counts as done by both, at any distance. Linked identities are one person: who appointed one of them
appointed the person.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice

from shared.deciding.access import AccessState

StateOf = Callable[[str], AccessState]
"""Return the identity of a subject."""

MOST = 500
"""Identities that are looked at behind one, so that a decision needs no unbounded number of streams. An
identity with as many is not independent."""

KEYED = frozenset({"keyed"})
ALL = frozenset({"created", "granted", "keyed"})


def one_person(subject: str, state_of: StateOf) -> list[str]:
    """Return the identities of the person who has this one: itself first, then those linked, MOST at most."""
    found = [subject]
    for current in found:
        new = state_of(current).links.identities - set(found)
        found += sorted(new)[: MOST - len(found)]
    return found


def logins(subject: str, state_of: StateOf) -> list[str]:
    """Return the logins under which the person who has this identity starts jobs."""
    return sorted({login for one in one_person(subject, state_of) for login in state_of(one).links.logins})


def appointments(subject: str, state_of: StateOf, how: frozenset[str] = ALL) -> dict[str, str]:
    """Return everyone who appointed the person in these ways, each with how: "keyed bot, who created ann".

    The nearest come first, MOST at most. What a person did for another identity of their own does not count.
    """
    found: dict[str, str] = {}
    own = set(one_person(subject, state_of))
    waiting = [subject]
    while waiting and len(found) < MOST:
        current = waiting.pop(0)
        through = f", who {found[current]}" if current in found else ""
        for of in one_person(current, state_of):
            linked = f", linked with {current}" if of != current else ""
            for by, acts in sorted(state_of(of).appointed_by.items()):
                done = [act for act in acts if act in how]
                if done and by not in found and by not in own:
                    found[by] = f"{', '.join(done)} {of}{linked}{through}"
                    waiting.append(by)
    return dict(islice(found.items(), MOST))


def everyone_behind(subject: str, state_of: StateOf) -> set[str]:
    """Return the identities of the person and of all who appointed them: what a decision reads of them."""
    behind = [subject, *appointments(subject, state_of)]
    return {one for other in behind for one in one_person(other, state_of)}


def issued_a_key(one: str, other: str, state_of: StateOf) -> str:
    """Return how one of the two issued a key of the other, in words; "" when neither did."""
    for holder, issuer in ((one, other), (other, one)):
        chain = appointments(holder, state_of, KEYED)
        for identity in one_person(issuer, state_of):
            if how := chain.get(identity):
                return f"{identity} {how}".replace(" keyed ", " issued a key of ")
        if len(chain) == MOST:
            return f"{holder} has a key behind which {MOST} others or more stand"
    return ""
