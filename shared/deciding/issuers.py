"""Decide whose sign-ins count: trusted issuers, the roles of their groups, what was seen at a sign-in. Pure.

An issuer has a stream of its own, `access-issuer:<key>`. What it holds, and the last sign-in in a person's
stream, give the roles of a call with a token: no command and no auditor needs the identity provider.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

PREFIX = "issuer:"
"""How the subjects of issuers begin. No identity has such a subject."""
METHOD = "oidc:"
"""How the method of an actor begins who signed in; the key of the issuer follows."""
ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "ES512")
"""Algorithms of tokens that an issuer may use: public keys only."""


@dataclass(frozen=True, slots=True)
class IssuerTrusted:
    """Tokens of an issuer count from now on, with these settings.

    `issuer` is the claim `iss` and the URL of its discovery document, `audience` the claim `aud` that a token
    has to have. `client_id` and `scopes` are for clients that begin a sign-in. `groups_claim` names the claim
    with the groups of a person. `by` is the subject who decided, here and below.
    """

    subject: str
    issuer: str
    audience: str
    client_id: str
    scopes: tuple[str, ...]
    algorithms: tuple[str, ...]
    groups_claim: str
    by: str


@dataclass(frozen=True, slots=True)
class IssuerDistrusted:
    """No token of the issuer counts any more. Its mapped groups stay, and count again if it is trusted."""

    subject: str
    by: str


@dataclass(frozen=True, slots=True)
class GroupMapped:
    """Who signs in as a member of the issuer's group has the role in the namespace."""

    subject: str
    group: str
    role: str
    namespace: str
    by: str


@dataclass(frozen=True, slots=True)
class GroupUnmapped:
    subject: str
    group: str
    role: str
    namespace: str
    by: str


@dataclass(frozen=True, slots=True)
class SignedIn:
    """What a person's token showed; written when it differs from the last sign-in by this issuer.

    `issuer` is the key of the issuer, `account` the keyed hash of the issuer and its `sub`: the log holds
    neither a name nor an account. `groups` are those that were mapped at that moment, no others.
    `appointed_by`: who trusted the issuer and who mapped these groups. `token_at` is when the token was
    issued; `auth_time`, `acr` and `amr` state how the person authenticated, as far as the token does.
    """

    subject: str
    issuer: str
    account: str
    groups: tuple[str, ...]
    appointed_by: tuple[str, ...]
    token_at: datetime
    auth_time: datetime | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()


IssuerEvent = IssuerTrusted | IssuerDistrusted | GroupMapped | GroupUnmapped


@dataclass(frozen=True, slots=True)
class Issuer:
    """The settings of an issuer, and whether it is trusted now."""

    url: str
    audience: str
    client_id: str
    scopes: tuple[str, ...]
    algorithms: tuple[str, ...]
    groups_claim: str
    by: str
    trusted: bool = True

    @property
    def key(self) -> str:
        return issuer_key(self.url)


@dataclass(frozen=True, slots=True)
class MappedRole:
    """A role of a group of an issuer."""

    group: str
    role: str
    namespace: str
    by: str


@dataclass(frozen=True, slots=True)
class SignIn:
    """The last sign-in of a person by one issuer."""

    account: str
    groups: frozenset[str]
    appointed_by: frozenset[str]
    token_at: datetime


def issuer_key(url: str) -> str:
    """Return the short name of an issuer, by which streams and actors name it."""
    return hashlib.sha256(url.encode()).hexdigest()[:16]


def subject_of_issuer(key: str) -> str:
    return PREFIX + key


def issuer_of(method: str) -> str:
    """Return the key of the issuer by whose token an actor acts, or "" for every other method."""
    return method.removeprefix(METHOD) if method.startswith(METHOD) else ""


def account_of(pepper: str, issuer: str, sub: str) -> str:
    """Return the keyed hash of an account: the only form in which the log has it."""
    return hmac.digest(pepper.encode(), f"oidc\n{issuer}\n{sub}".encode("utf-8", "replace"), "sha256").hex()


def mapped_key(group: str, role: str, namespace: str) -> str:
    """Return the key of a mapped role in the state of its issuer."""
    return f"{role}@{namespace}#{group}"


def mapped_groups(groups: Iterable[str], mapped: Mapping[str, MappedRole]) -> frozenset[str]:
    """Return those of the groups that have a role."""
    return frozenset(groups) & {one.group for one in mapped.values()}


def appointers_of(groups: frozenset[str], issuer: Issuer, mapped: Mapping[str, MappedRole]) -> frozenset[str]:
    """Return who trusted the issuer, and who mapped these groups."""
    return frozenset({issuer.by, *(one.by for one in mapped.values() if one.group in groups)})


def roles_of(subject: str, sign_in: SignIn, mapped: Mapping[str, MappedRole]) -> Iterator[MappedRole]:
    """Yield the roles that a person has by a sign-in.

    A mapping gives no role to the person who made it. One that another admin made since counts from the next
    sign-in on, which records that this admin appointed the person.
    """
    for _, one in sorted(mapped.items()):
        if one.group in sign_in.groups and one.by in sign_in.appointed_by and one.by != subject:
            yield one
