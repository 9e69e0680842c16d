"""The JSON shapes of the report about issuers."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from services.audit.report_shapes import Given


class Decided(Given):
    reason: str


class GroupThen(BaseModel):
    """Members of the group had the role in the namespace and below."""

    group: str | None
    role: str | None
    namespace: str | None
    mapped: Decided


class IssuerThen(BaseModel):
    """An issuer with the settings of its last `trusted`. `key` names it in the `method` of actors."""

    key: str
    issuer: str | None
    audience: str | None
    client_id: str | None
    groups_claim: str | None
    scopes: list[str]
    algorithms: list[str]
    trusted: Decided
    ended: Decided | None = Field(description="tokens and the roles of groups had no effect then")
    groups: list[GroupThen]


class IssuersThen(BaseModel):
    """`next_page_token` is always empty: all issuers are on one page."""

    at: datetime
    items: list[IssuerThen]
    next_page_token: str
