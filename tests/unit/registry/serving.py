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


def back(**more: Any) -> RollBack:
    return RollBack(MODEL_ID, "production", **more)


def retiring(number: int, model_id: str = MODEL_ID) -> RetireVersion:
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
    story.promotes()
    story.promotes(metadata(2))
    return story


def switched(*others: Metadata) -> Story:
    """Version 1 served, then 2, then each of `others`."""
    story = two_promoted()
    story.when(change(champion(2)))
    for document in others:
        number = story.promotes(document)
        story.when(change(champion(number)))
    return story


def also_in_lab(story: Story, number: int) -> None:
    """Promoted there, too; the first one is lab's champion."""
    story.requests(number, f"lab{number}", "lab", serve=not story.serves("lab"))
    story.grants(f"lab{number}", number, "lab")


__all__ = [
    "Share",
    "also_in_lab",
    "back",
    "challenger",
    "champion",
    "change",
    "retiring",
    "switched",
    "two_promoted",
]
