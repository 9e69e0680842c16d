"""Shapes of the requests and answers about trusts, and of the exchange of a job's token."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from services.registry.shapes.common import OptionalReason, RequiredText
from shared.http.routes import Body

Text = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Namespace = Annotated[str, StringConstraints(min_length=1, max_length=200)]


class ClaimOfJob(Body):
    """A claim of the token, and its exact value; a value that ends in `/*` stands for one more part."""

    name: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    value: Text


class NewTrust(OptionalReason):
    """Jobs with a token of `issuer` for `audience`, in which each of the claims is so, act as `publisher`.

    `issuer` is the URL as its tokens name it in `iss`. One of the claims has to name a project. `namespaces`:
    where the job's key has the role publisher, and below; `*` is everywhere. `starter_claim`: the claim that
    names the person who started the job, "" for those of GitHub (`actor`) and GitLab (`user_login`).
    """

    issuer: Annotated[str, StringConstraints(min_length=1, max_length=500)]
    audience: Annotated[str, StringConstraints(min_length=1, max_length=200)] = "regista"
    algorithms: Annotated[list[Text], Field(min_length=1, max_length=9)] = Field(default=["RS256"])
    claims: Annotated[list[ClaimOfJob], Field(min_length=1, max_length=10)]
    publisher: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    namespaces: Annotated[list[Namespace], Field(min_length=1, max_length=20)]
    starter_claim: Annotated[str, StringConstraints(max_length=100)] = ""


class TrustAnswer(Body):
    """A trust. `live_keys`: API keys and signing keys of jobs that have not ended."""

    trust_id: str
    issuer: str
    audience: str
    algorithms: list[str]
    claims: list[ClaimOfJob]
    publisher: str
    namespaces: list[str]
    starter_claim: str
    added_by: str
    live_keys: int


class Trusts(Body):
    items: list[TrustAnswer]


class RemoveTrustQuery(Body):
    reason: RequiredText


class ExchangeForm(Body):
    """The form of RFC 8693. `public_key`: of an Ed25519 key that the job made, to sign messages on Kafka.

    `trust`: the id of a trust, needed only where a token fits several.
    """

    grant_type: Literal["urn:ietf:params:oauth:grant-type:token-exchange"]
    subject_token: str
    subject_token_type: Literal[
        "urn:ietf:params:oauth:token-type:jwt",
        "urn:ietf:params:oauth:token-type:id_token",
        "urn:ietf:params:oauth:token-type:access_token",
    ]
    requested_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"] | None = None
    public_key: str | None = Field(default=None, pattern=r"^[0-9a-f]{64}$")
    trust: str | None = None


class ExchangeAnswer(Body):
    """The answer of RFC 8693: `access_token` is an API key, shown this once and stored nowhere.

    `scope` is `publisher:<namespace>`, divided by spaces. `publisher` is the subject that the key acts as.
    `started_by`: who counts as a maker of what the job publishes, "" where the token states no one.
    `signing_key_id`: the id of the signing key whose public half came with the request.
    """

    access_token: str
    issued_token_type: Literal["urn:ietf:params:oauth:token-type:access_token"]
    token_type: Literal["Bearer"]
    expires_in: int
    scope: str
    publisher: str
    started_by: str
    key_id: str
    signing_key_id: str | None
    expires_at: datetime
