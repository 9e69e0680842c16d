"""A model's stream: who decides which command, and how it folds. Start here.

registration  a trained model becomes a version (bump, diff, signature, metadata)     description  name, owner, tags, tier
verdicts      gates, artifact, evaluations, rejection, recall, legal hold             alias        movable names
promotion     the way to Production                                                   rollout      who serves, and the way back
retirement    the end                                                               routing      which version serves a request
"""

from __future__ import annotations

from typing import Any

from services.registry.domain import retirement
from services.registry.domain.model.events import ModelEvent
from services.registry.domain.model.fold import evolve
from services.registry.domain.model.state import INITIAL, ModelState
from services.registry.domain.naming import description
from services.registry.domain.promotion import promotion, verdicts
from services.registry.domain.registration import registration
from services.registry.domain.serving import alias, rollout
from shared.deciding.decider import Fold, Joint
from shared.deciding.events import Noted

MODEL: Fold[ModelEvent | Noted, ModelState] = Fold("model", INITIAL, evolve)

DECIDERS: dict[type, Joint[Any]] = {
    **registration.DECIDERS,
    **description.DECIDERS,
    **verdicts.DECIDERS,
    **promotion.DECIDERS,
    **rollout.DECIDERS,
    **alias.DECIDERS,
    **retirement.DECIDERS,
}
