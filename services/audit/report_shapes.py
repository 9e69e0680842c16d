"""The JSON shapes of reports over all models."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, Field

from services.audit.as_of_shapes import ChangedBy, Promotion, Served
from services.audit.shapes import SINCE, UNTIL, Event, Reference, Who
from shared.deciding.access import Role as NameOfRole
from shared.http.moments import Moment
from shared.http.routes import Body, PageQuery, page_token

AT = "RFC 3339, or a day: its end in UTC, now for today; now if left out"


def token(last: tuple[str, ...] | None) -> str:
    """Return the token of the page after `last`, or "" for the last page."""
    return page_token(*last) if last else ""


class Period(PageQuery):
    """A report about a period, the newest first."""

    since: Moment | None = Field(None, description=SINCE)
    until: Moment | None = Field(None, description=UNTIL)


class DecisionsQuery(Period):
    model: str = Field("", max_length=200, description="name or id; all models if left out")


class AttemptsQuery(DecisionsQuery):
    subject: str = Field("", max_length=100, description="who tried; all if left out")


class AtQuery(PageQuery):
    at: Moment | None = Field(None, description=AT)


class ServingQuery(AtQuery):
    environment: str = Field("", max_length=100, description="all environments if left out")


class RightsQuery(AtQuery):
    subject: str = Field("", max_length=100, description="only this identity")
    role: NameOfRole | Literal[""] = Field(
        "", description="only identities that could act in this role, admins, too"
    )
    namespace: str = Field("", max_length=200, description="only roles that apply in this namespace")


class PoliciesQuery(AtQuery):
    name: str = Field("", max_length=200, description="all policies if left out")
    model: str = Field(
        "", max_length=200, description="only the policy behind this model's newest promotion then"
    )


class AfterReview(BaseModel):
    by: Who
    at: datetime
    justified: bool | None
    comment: str | None
    event: Reference


class Decision(BaseModel):
    """`promotion` states who requested and who approved, on what evidence, under which policy.

    `reasons` are those of a denial or an override; `bypassed` lists what an override left out.
    `after_review` is that of an override, None where it is missing.
    """

    model_id: str
    model: str
    number: int | None
    environment: str | None
    at: datetime
    by: Who
    reasons: list[str]
    bypassed: list[str]
    promotion: Promotion | None
    after_review: AfterReview | None
    event: Reference


class Decisions(BaseModel):
    items: list[Decision]
    next_page_token: str


class InService(BaseModel):
    """What served in one environment of one model. `entries` is empty where the rollout was stopped."""

    model_id: str
    model: str
    environment: str
    since: datetime
    changed_by: ChangedBy
    entries: list[Served]


class Serving(BaseModel):
    """Every event up to `indexed_up_to` is indexed. A page has fewer items where rollouts began later."""

    at: datetime
    indexed_up_to: datetime
    items: list[InService]
    next_page_token: str


class Act(Event):
    """`hidden`: the event is about models that the caller may not read."""

    hidden: bool
    model_id: str | None
    model: str


class Acts(BaseModel):
    items: list[Act]
    next_page_token: str


class Given(BaseModel):
    by: Who
    at: datetime
    event: Reference


class Role(BaseModel):
    """`group` is the group through which the role was held, "" for a grant of its own."""

    role: str | None
    namespace: str | None
    group: str
    granted: Given


class LiveKey(BaseModel):
    """`issuer` is the key of the issuer whose groups' roles the key has, "" for own roles only."""

    key_id: str | None
    algorithm: str | None
    expires_at: Any
    issuer: str
    issued: Given


class TrustThen(BaseModel):
    """Jobs with a token of `issuer`, with these claims, acted as the publisher in `namespaces`."""

    trust_id: str | None
    issuer: str | None
    audience: str | None
    claims: list[dict[str, Any]]
    namespaces: list[str]
    added: Given


class LinkThen(BaseModel):
    """`other` counted as the same person: an identity, or with `login` a name under which it started jobs."""

    other: str | None
    login: bool
    linked: Given


class IdentityRights(BaseModel):
    subject: str | None
    kind: str | None
    created: Given
    disabled: Given | None = Field(description="its roles have no effect then")
    roles: list[Role]
    keys: list[LiveKey]
    trusts: list[TrustThen] = Field(description="whose jobs acted as the publisher then")
    links: list[LinkThen] = Field(description="what counted as the same person then, directly")


class Rights(BaseModel):
    at: datetime
    items: list[IdentityRights]
    next_page_token: str


class PolicyInForce(BaseModel):
    """The text of a policy that was in force. `revision` counts the publications of its name."""

    name: str
    revision: int
    digest: str | None
    published_at: datetime
    published_by: Who
    reason: str
    policy: dict[str, Any] | None
    event: Reference


class Policies(BaseModel):
    at: datetime
    items: list[PolicyInForce]
    next_page_token: str


class MomentsQuery(Body):
    at: Moment | None = Field(None, description="the moment whose neighbours are shown; now if left out")


class MomentOfLog(BaseModel):
    """What changed at a moment, and who changed it. `model` is "" for what is about no model."""

    at: datetime
    type: str
    by: str
    model: str
    number: int | None
    environment: str | None


class Moments(BaseModel):
    """Changes of what serves, of policies and of rights that the caller may read, the oldest first.

    `items` has at most one for each hundredth of the time since `first`, the first event of the log. `before`
    and `after` are the moments next to `at`.
    """

    first: datetime
    at: datetime
    items: list[MomentOfLog]
    before: MomentOfLog | None
    after: MomentOfLog | None
