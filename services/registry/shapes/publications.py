"""Shapes of the outcomes of messages, and of refusals."""

from __future__ import annotations

from pydantic import Field

from services.registry.inbound import Problem
from services.registry.shapes.versions import ChangeAnswer
from shared.http.routes import Body, PageQuery


class PublicationQuery(Body):
    """What the message named. It finds a version that existed before the message.

    `publisher` is the subject that signed the message; without it, the caller is.
    """

    model: str | None = Field(default=None, max_length=200)
    artifact_digest: str | None = Field(default=None, max_length=100)
    publisher: str | None = Field(default=None, max_length=200)


class PublisherQuery(Body):
    """`publisher` is the subject whose key signs the message; without it, the caller is."""

    publisher: str | None = Field(default=None, min_length=1, max_length=200)


class PublisherAnswer(Body):
    """The publisher may register versions: it has the role in the namespace."""

    model: str
    namespace: str
    publisher: str


class RefusalQuery(PageQuery):
    model: str | None = Field(default=None, max_length=200)
    correlation_id: str | None = Field(default=None, max_length=200)


class PublicationAnswer(Body):
    """`state`: registered, draft, existing (nothing new: the same version was there), refused, dead_lettered.

    A refused message was read and broke rules of registration. A dead-lettered one was not accepted at all:
    `code` and `problems` give the reason, to its signer and to those who may read the model; an operator
    finds it by the id `dead_letter`.

    `notes`: what the sender should know about the registration.
    """

    state: str
    model: str
    model_id: str | None = None
    number: int | None = None
    semver: str | None = None
    stage: str | None = None
    code: str | None = None
    dead_letter: str | None = None
    problems: list[Problem] = Field(default=[])
    notes: list[str] | None = None


class RefusalAnswer(Body):
    """`number`: the draft to be completed, 0 for a new version; `proof`: what contradicts an exact claim."""

    stream: str
    revision: int
    model: str
    number: int
    problems: list[Problem]
    proof: list[ChangeAnswer]
    artifact_digest: str
    creator: str
    refused_at: str
    refused_of: str
    correlation_id: str


class Refusals(Body):
    items: list[RefusalAnswer]
    next_page_token: str
