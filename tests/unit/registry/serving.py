"""Commands about traffic, and models in which versions have served."""

from __future__ import annotations

from typing import Any

from services.registry.domain import noted
from services.registry.domain.model.metadata import Metadata
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.withdrawal.retirement import RetireVersion
from tests.unit.registry.given import MODEL_ID, Story, a_note, metadata


def champion(number: int, percent: int = 100) -> Share:
    return Share(number, percent, "champion")


def challenger(number: int, percent: int) -> Share:
    return Share(number, percent, "challenger")


def change(*shares: Share, environment: str = "production", **more: Any) -> ChangeRollout:
    return ChangeRollout(MODEL_ID, environment, shares, **more)


def roll_back(**more: Any) -> RollBack:
    return RollBack(MODEL_ID, "production", **more)


def retire(number: int, model_id: str = MODEL_ID) -> RetireVersion:
    data = {
        "model_id": model_id,
        "number": number,
        "sweep_id": "s1",
        "rule": "unused for 30 days",
        "reason": "no use seen",
    }
    return RetireVersion(
        model_id, a_note("cleanup", f"retention-{model_id}", 1, noted.RETIREMENT_PROPOSED, data)
    )


def two_promoted() -> Story:
    story = Story()
    story.promote()
    story.promote(metadata(2))
    return story


def served_in_turn(*others: Metadata) -> Story:
    """Version 1 served, then 2, then each of `others`."""
    story = two_promoted()
    story.when(change(champion(2)))
    for document in others:
        number = story.promote(document)
        story.when(change(champion(number)))
    return story


def promote_in_lab(story: Story, number: int) -> None:
    """Promoted there, too; the first one is lab's champion."""
    story.request_promotion(number, f"lab{number}", "lab")
    story.grant_promotion(f"lab{number}", number, "lab")


__all__ = [
    "Share",
    "challenger",
    "champion",
    "change",
    "promote_in_lab",
    "retire",
    "roll_back",
    "served_in_turn",
    "two_promoted",
]
