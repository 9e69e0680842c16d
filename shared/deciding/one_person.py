"""Which identities and logins are of one human being: what the log links, at any distance. Pure.

Every rule about people uses this. Identities that share a login are one person as much as those that are
linked with each other. `audit` has the same rule once more, in its own code (services/audit/domain/links.py).
"""

from __future__ import annotations

from collections.abc import Callable

from shared.deciding.access import AccessState
from shared.deciding.links import LOGIN, subject_of_login

StateOf = Callable[[str], AccessState]
"""Return the identity, or the login, of a subject."""

MOST = 500
"""Subjects that are looked at for one person, and behind one, so that a decision needs no unbounded number of
streams. An identity with as many is not independent."""


def subjects_of_person(subject: str, state_of: StateOf) -> list[str]:
    """Return the subject, and those of all identities and logins linked with it: MOST at most."""
    found = [subject]
    for current in found:
        links = state_of(current).links
        near = links.identities | {subject_of_login(login) for login in links.logins}
        found += sorted(near - set(found))[: MOST - len(found)]
    return found


def one_person(subject: str, state_of: StateOf) -> list[str]:
    """Return the identities of the person who has this identity, itself first."""
    return [one for one in subjects_of_person(subject, state_of) if not one.startswith(LOGIN)]


def logins(subject: str, state_of: StateOf) -> list[str]:
    """Return the logins under which the person starts jobs, as the links state them."""
    linked = subjects_of_person(subject, state_of)
    return sorted({login for one in linked for login in state_of(one).links.logins})
