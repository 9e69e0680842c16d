"""Who created, keyed or granted an identity: directly, or through identities that were appointed themselves.

Who issued a key may have it, and who has the key of a machine can act as it. So what the machine does for
others counts as done by both, at any distance. Who appointed one identity of a person appointed the person
(shared/deciding/one_person.py).
"""

from __future__ import annotations

from itertools import islice

from shared.deciding.one_person import MOST, StateOf, one_person, subjects_of_person

KEYED = frozenset({"keyed"})
ALL = frozenset({"created", "granted", "keyed"})


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
    """Return the subjects of the person and of all who appointed them: whose streams a decision reads."""
    behind = [subject, *appointments(subject, state_of)]
    return {one for other in behind for one in subjects_of_person(other, state_of)}


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
