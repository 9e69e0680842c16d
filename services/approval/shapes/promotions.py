"""Shapes of promotions."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import AwareDatetime, BaseModel, Field

from regista.wire.limits import LABEL, TEXT
from shared.http.routes import Body


class ReasonBody(Body):
    reason: str = Field(min_length=1, max_length=10_000)


class AdoptionBody(Body):
    """A version in another registry that serves in production there, as the caller read it at `read_at`.

    `system`, `uri`, `id` (the model) and `number` are those of its `imported_from`. `stage`: the words
    of that registry.
    """

    system: str = Field(min_length=1, max_length=LABEL)
    uri: str = Field(min_length=1, max_length=TEXT)
    id: str = Field(min_length=1, max_length=TEXT)
    number: str = Field(min_length=1, max_length=LABEL)
    stage: str = Field(min_length=1, max_length=LABEL)
    read_at: AwareDatetime


class OverrideBody(ReasonBody):
    """`adopts`: the promotion takes over what serves in another registry. That needs the role admin, too."""

    adopts: AdoptionBody | None = None


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
