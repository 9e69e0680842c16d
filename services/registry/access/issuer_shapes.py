"""Shapes of the requests and answers about trusted issuers and sign-ins."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

from pydantic import Field, StringConstraints

from services.registry.access.shapes import HeldRole, Reason
from services.registry.shapes.common import RequiredText
from shared.deciding.access import Role
from shared.http.routes import Body

Text = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class NewIssuer(Body):
    """`issuer` is the URL as its tokens name it in `iss`; its discovery document stands below it.

    `audience`: what a token has to name in `aud`. `client_id`, `scopes`: what a client begins a sign-in with.
    `algorithms`: with which the issuer signs. `groups_claim`: the claim with the groups of a person.
    """

    issuer: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    audience: Text = "regista"
    client_id: Text = "regista-cli"
    scopes: Annotated[list[Text], Field(min_length=1, max_length=20)] = Field(default=["openid", "profile"])
    algorithms: Annotated[list[Text], Field(min_length=1, max_length=9)] = Field(default=["RS256"])
    groups_claim: Text = "groups"
    reason: Reason = ""


class MappedGroup(Body):
    """The role that members of the group have. `namespace`: there and below; `*` is everywhere."""

    group: Text
    role: Role
    namespace: str = Field(min_length=1, max_length=200)
    reason: Reason = ""


class DistrustQuery(Body):
    reason: RequiredText


class MappedGroupAnswer(Body):
    """`mapped_by` counts as having granted the role to each member."""

    group: str
    role: str
    namespace: str
    mapped_by: str


class IssuerAnswer(Body):
    """An issuer that is or was trusted. `key` names it in paths and in the `method` of actors."""

    key: str
    issuer: str
    trusted: bool
    audience: str
    client_id: str
    scopes: list[str]
    algorithms: list[str]
    groups_claim: str
    trusted_by: str
    groups: list[MappedGroupAnswer]


class Issuers(Body):
    items: list[IssuerAnswer]


class SignInOption(Body):
    """An issuer at which people sign in, and what a client begins with."""

    issuer: str
    client_id: str
    scopes: list[str]


class SignInOptions(Body):
    issuers: list[SignInOption]


class SignInAnswer(Body):
    """Who signed in, with which roles, until when the token is valid. `name` is empty where none is known."""

    subject: str
    name: str
    roles: list[HeldRole]
    until: datetime
