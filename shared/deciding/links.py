"""Record which identities are of one human being, and under which logins that person starts jobs. Pure.

A link of two identities stands in both streams, so that each of them shows it to a decision that reads it. So
does a link with a login: it has a stream of its own, `access-login:<digest>`, which holds who uses the login.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from shared.deciding.person import folded_name

LOGIN = "login:"
"""How the subjects of logins begin. No identity has such a subject."""


def subject_of_login(login: str) -> str:
    """Return the subject that stands for a login, in every spelling of it: a digest of its folded form."""
    return LOGIN + hashlib.sha256(folded_name(login).encode("utf-8", "replace")).hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class IdentityLinked:
    """The identity and `other` are of one human being, who counts as one person from now on.

    `other` is an identity, or, with `login`, a name under which the person starts jobs elsewhere, as keys of
    jobs state it (`started_by`). `subject` is a login in the login's own stream (`subject_of_login`). `by` is
    the subject who decided, here and below.
    """

    subject: str
    other: str
    by: str
    login: bool = False


@dataclass(frozen=True, slots=True)
class IdentityUnlinked:
    """The two count as two people from now on. What was decided before keeps the links of its time."""

    subject: str
    other: str
    by: str
    login: bool = False


LinkEvent = IdentityLinked | IdentityUnlinked


@dataclass(frozen=True, slots=True)
class Links:
    """The identities and the logins that an identity is linked with directly. A login has identities only."""

    identities: frozenset[str] = frozenset()
    logins: frozenset[str] = frozenset()


NO_LINKS = Links()


def evolve_links(links: Links, event: LinkEvent) -> Links:
    """Fold an event about a link."""
    changed = frozenset({event.other})
    of = links.logins if event.login else links.identities
    left = of | changed if isinstance(event, IdentityLinked) else of - changed
    return Links(links.identities, left) if event.login else Links(left, links.logins)
