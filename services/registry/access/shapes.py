"""Shapes of the requests and answers about identities."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, AwareDatetime, Field, SecretStr, StringConstraints

from services.registry.shapes.common import RequiredText
from shared.deciding.access import Kind, Role
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
Reason = Annotated[str, StringConstraints(strip_whitespace=True, max_length=2_000)]
"""Why. The log stores it permanently, so it names no person."""


class NewIdentity(Body):
    """Without `subject` the service makes one that reveals nothing: events store subjects permanently.

    `name` is stored in the directory and can be erased.
    """

    subject: str | None = Field(default=None, min_length=1, max_length=100)
    kind: Kind
    name: Name = ""
    reason: Reason = ""


class NewName(Body):
    name: Annotated[Name, StringConstraints(min_length=1)]


class Erasure(Body):
    """Why the name is erased. The log stores the reason permanently, so it must not contain the name."""

    reason: RequiredText


class NewKey(Body):
    """With `public_key` the service registers that signing key.

    Without it the service makes an API key and shows it once. Without `expires_at` the key is valid for
    REGISTA_KEY_DAYS days, unless an admin sends `never_expires`.

    An API key that the caller issues for themselves with a token has the roles of their groups, too, and is
    valid for 24 hours at most. `without_groups` makes one that has the roles granted to them only.
    """

    public_key: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    key_id: str | None = Field(default=None, pattern=r"^[A-Za-z0-9-]{1,64}$")
    expires_at: AwareDatetime | None = None
    never_expires: bool = False
    without_groups: bool = False
    reason: Reason = ""


class Grant(Body):
    """`namespace`: the role counts there and in all namespaces below it; `*` is everywhere."""

    role: Role
    namespace: str = Field(min_length=1, max_length=200)
    reason: Reason = ""


class Member(Body):
    """The subject of a person or publisher that joins or leaves the group."""

    member: str = Field(min_length=1, max_length=100)
    reason: Reason = ""


class NewLink(Body):
    """What is of the same human being as the identity: another identity, or a login that jobs name.

    `proof` is an API key or an access token of the other identity, for a person who links their own
    identities without an admin. It is stored nowhere, and `other` is not needed with it.
    """

    other: str = Field(default="", max_length=100)
    login: bool = False
    proof: SecretStr | None = Field(default=None, min_length=1, max_length=16_384)
    reason: RequiredText


class UnlinkQuery(Body):
    other: str = Field(min_length=1, max_length=100)
    login: bool = False
    reason: RequiredText


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


class IdentityKey(Body):
    """`issued_by` is the subject itself after a rotation of its own. `last_used` is a day (UTC).

    `issued_by_another`: the issuer has seen the key, so it does not prove who acts. `with_groups`: it has the
    roles of the person's groups at the issuer of the token by which it was issued.
    """

    key_id: str
    algorithm: str
    issued_at: str
    issued_by: str
    issued_by_another: bool
    expires_at: str | None
    revoked_at: str | None
    compromised: bool
    with_groups: bool
    last_used: str | None


class HeldRole(Body):
    """`group` is the group, here or at an issuer, that gives the role, "" for a grant of its own."""

    role: str
    namespace: str
    group: str


class IdentityLink(Body):
    """`other` is another identity of the same person, or with `login` a name under which it starts jobs."""

    other: str
    login: bool
    linked_at: str
    linked_by: str


class Link(IdentityLink):
    """A link, with the identity that it is of. One of two identities is shown under the first of them."""

    subject: str
    reason: str


class Links(Body):
    items: list[Link]
    next_page_token: str


class IdentityAnswer(Body):
    """`name` is empty when none was given, or when it was erased. `members` are those of a group.

    `links`: what counts as the same person, directly. An admin of a namespace sees the roles there only, and
    `keys`, `members` and `links` are null. `notes`: what who just granted a role should know about it.
    """

    subject: str
    kind: Kind
    name: str
    name_erased_at: str | None
    created_at: str
    created_by: str
    disabled_at: str | None
    keys: list[IdentityKey] | None
    roles: list[HeldRole]
    members: list[str] | None
    links: list[IdentityLink] | None
    notes: list[str] = Field(default=[])


class UsedKey(Body):
    """The key of a request."""

    key_id: str
    algorithm: str
    expires_at: datetime | None


class UsedSignIn(Body):
    """The sign-in of a request: the issuer of the token, and until when the token is valid."""

    issuer: str
    until: datetime


class Caller(Body):
    """Who sends the request, and the caller's roles. One of `key` and `sign_in` is null.

    A call with a token has the roles of the person's groups at its issuer, beside the person's own.
    """

    subject: str
    kind: Kind
    name: str
    key: UsedKey | None
    sign_in: UsedSignIn | None
    roles: list[HeldRole]


class ServiceKey(Body):
    """A public key as a JSON Web Key (RFC 8037), with its owner and the time in which it is valid.

    An event is valid when its `recordedtime` is in that time. Nothing that a compromised key signed is.
    """

    kid: str
    kty: Literal["OKP"]
    crv: Literal["Ed25519"]
    x: str
    use: Literal["sig"]
    subject: str
    public_key: str
    valid_from: datetime
    valid_until: datetime | None
    compromised: bool


class ServiceKeys(Body):
    keys: list[ServiceKey]


class Identities(Body):
    items: list[IdentityAnswer]
    next_page_token: str


class KeyAnswer(Body):
    """`api_key` is shown this once and stored nowhere. `with_groups`: it has the roles of groups, too."""

    subject: str
    key_id: str
    algorithm: str
    expires_at: datetime | None
    with_groups: bool
    api_key: str | None = None
