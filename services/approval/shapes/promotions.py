"""Shapes of promotions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from shared.http.routes import Body


class ReasonBody(Body):
    reason: str = Field(min_length=1, max_length=10_000)


class PromotionListed(BaseModel):
    """A promotion.

    `granted`: the registry has not carried the grant out yet; `promoted`: it has. `spent`: the grant ended
    before the version was champion. `refused`: by approval or by the registry, `reasons` state why. With
    `override`, an override stands that grants the next request over the same facts.
    """

    promotion_id: str
    environment: str
    requester: str
    reason: str
    state: Literal["open", "granted", "promoted", "spent", "refused"]
    reasons: list[str]
    conditions: list[str]
    approvers: list[str]
    override: bool
    requested_at: datetime
    decided_at: datetime | None


class PromotionAnswer(PromotionListed):
    model_id: str
    model: str
    number: int
    digest: str
