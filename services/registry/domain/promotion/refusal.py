"""Refuse an open promotion because of what happened elsewhere: an ancestor of its version was recalled."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model.events import PromotionRefused
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import Events, require_model, stream_of
from shared.deciding.decider import Joint, Streams


@dataclass(frozen=True, slots=True)
class RefusePromotion:
    model_id: str
    promotion_id: str
    reasons: tuple[str, ...]


def refuse(command: RefusePromotion, streams: Streams) -> Events:
    """Refuse the promotion; nothing happens when it is over."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    promotion = state.promotions.get(command.promotion_id)
    if promotion is None:
        return {}
    refused = PromotionRefused(
        state.model,
        promotion.number,
        state.versions[promotion.number].semver,
        command.promotion_id,
        promotion.environment,
        command.reasons,
    )
    return {stream_of(command.model_id): [refused]}


DECIDERS: Mapping[type, Joint[Any]] = {RefusePromotion: Joint(refuse)}
