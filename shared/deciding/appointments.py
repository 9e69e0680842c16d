"""Who created, keyed or granted an identity: directly, or through identities that were appointed themselves.

Who issued a key may have it, and who has the key of a machine can act as it. So what the machine does for
others counts as done by both, at any distance.
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


def appointments(subject: str, state_of: StateOf, how: frozenset[str] = ALL) -> dict[str, str]:
    """Return everyone who appointed the identity in these ways, each with how: "keyed bot, who created ann".

    The nearest come first, MOST at most.
    """
    found: dict[str, str] = {}
    waiting = [subject]
    while waiting and len(found) < MOST:
        current = waiting.pop(0)
        through = f", who {found[current]}" if current in found else ""
        for by, acts in sorted(state_of(current).appointed_by.items()):
            done = [act for act in acts if act in how]
            if done and by not in found and by != subject:
                found[by] = f"{', '.join(done)} {current}{through}"
                waiting.append(by)
    return dict(islice(found.items(), MOST))


def issued_a_key(one: str, other: str, state_of: StateOf) -> str:
    """Return how one of the two issued a key of the other, in words; "" when neither did."""
    for holder, issuer in ((one, other), (other, one)):
        chain = appointments(holder, state_of, KEYED)
        if how := chain.get(issuer):
            return f"{issuer} {how}".replace(" keyed ", " issued a key of ")
        if len(chain) == MOST:
            return f"{holder} has a key behind which {MOST} others or more stand"
    return ""
