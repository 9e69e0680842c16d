"""Shapes of the requests and answers about identities."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from pydantic import AfterValidator, AwareDatetime, Field, StringConstraints

from services.registry.access.domain import Role
from services.registry.shapes.common import RequiredText
from shared.deciding.access import EVERYWHERE, Kind
from shared.http.routes import Body

MOST_SUBJECTS = 100
JOINERS = "\u200c\u200d"
"""Invisible characters that some names are spelt with."""


def _visible(name: str) -> str:
    if not all(character.isprintable() or character in JOINERS for character in name):
        raise ValueError(
            "contains invisible characters (controls, line breaks, direction marks): remove them, because "
            "the name is printed beside signatures"
        )
    return name


Name = Annotated[str, StringConstraints(strip_whitespace=True, max_length=200), AfterValidator(_visible)]


class NewIdentity(Body):
    """Without `subject` the service makes one that reveals nothing: events store subjects permanently.

    `name` is stored in the directory and can be erased.
    """

    subject: str | None = Field(default=None, min_length=1, max_length=100)
    kind: Kind
    name: Name = ""


class NewName(Body):
    name: Annotated[Name, StringConstraints(min_length=1)]


class Erasure(Body):
    """Why the name is erased. The log stores the reason permanently, so it must not contain the name."""

    reason: RequiredText


class NewKey(Body):
    """With `public_key` the service registers that signing key.

    Without it the service makes an API key and shows it once.
    """

    public_key: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    key_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    expires_at: AwareDatetime | None = None


class Grant(Body):
    role: Role
    namespace: str = Field(default=EVERYWHERE, max_length=200)


class RevokeQuery(Body):
    """Events that a key signed before its revocation stay valid, unless the key is `compromised`."""

    reason: str = Field(default="", max_length=2_000)
    compromised: bool = False


class ErasureAnswer(Body):
    """`kept` names where the name is still stored."""

    subject: str
    name_erased_at: str
    kept: str


def _listed(subjects: str) -> str:
    """Check the list by hand: a pattern that counts the subjects takes 20 MiB compiled."""
    listed = subjects.split(",")
    if len(listed) > MOST_SUBJECTS or not all(listed):
        raise ValueError(f"give 1 to {MOST_SUBJECTS} subjects, separated by commas")
    return subjects


class NamesQuery(Body):
    """`subjects`: at most 100, separated by commas."""

    subjects: Annotated[str, Field(max_length=10_100), AfterValidator(_listed)]


class Names(Body):
    """Names by subject: null for an erased name. A subject that never had a name is missing."""

    names: dict[str, str | None]


class IdentityAnswer(Body):
    """`name` is empty when none was given, or when it was erased."""

    subject: str
    kind: Kind
    name: str
    name_erased_at: str | None
    created_at: str
    created_by: str
    keys: list[dict[str, Any]]
    roles: list[dict[str, str]]


class Identities(Body):
    items: list[IdentityAnswer]
    next_page_token: str


class KeyAnswer(Body):
    """`api_key` is shown this once and stored nowhere."""

    subject: str
    key_id: str
    algorithm: str
    expires_at: datetime | None
    api_key: str | None = None
