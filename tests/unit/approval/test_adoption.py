"""A break-glass override that takes over what serves in another registry, and names it."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.approval.domain.gate_events import AfterReviewOwed, PromotionGranted
from services.approval.domain.review_events import Adoption, OverrideUsed
from shared.deciding.decider import RuleBroken

from .conftest import NOW, World

THERE = {"system": "mlflow", "uri": "https://mlflow.example.com", "id": "churn", "number": "7"}
ADOPTION = Adoption(**THERE, stage="Production", read_at=NOW)
IMPORTED = {"imported_from": THERE | {"stage": "Production", "details": {"run": "r"}}}


def asked(world: World, *, serve: bool = True, **version: object) -> World:
    return world.in_review(asked={"serve": serve}, **version)


def test_an_adoption_names_source_stage_person_and_reason_and_owes_an_after_review(world: World) -> None:
    asked(world, **IMPORTED)
    used, granted, owed = world.override("oscar", "we move today", adopts=ADOPTION)
    assert isinstance(used, OverrideUsed)
    assert (used.adopts, used.by, used.reason, used.serve) == (ADOPTION, "oscar", "we move today", True)
    assert isinstance(granted, PromotionGranted)
    assert granted.override
    assert isinstance(owed, AfterReviewOwed)


def test_the_same_adoption_again_changes_nothing(world: World) -> None:
    asked(world, **IMPORTED)
    world.override("oscar", "we move today", adopts=ADOPTION)
    assert world.override("oscar", "we move today", adopts=ADOPTION) == []


def test_an_override_that_adopts_nothing_becomes_no_adoption(world: World) -> None:
    asked(world, **IMPORTED)
    world.override("oscar", "we move today")
    with pytest.raises(RuleBroken, match="overridden_without_adoption"):
        world.override("oscar", "we move today", adopts=ADOPTION)


def test_a_repeated_adoption_names_the_same_source(world: World) -> None:
    asked(world, **IMPORTED)
    world.override("oscar", "we move today", adopts=ADOPTION)
    with pytest.raises(RuleBroken, match="not_imported_from"):
        world.override("oscar", "we move today", adopts=replace(ADOPTION, number="8"))


@pytest.mark.parametrize("other", [{"number": "8"}, {"uri": "https://other"}, {"system": "azureml"}], ids=str)
def test_only_the_version_that_was_imported_from_there_is_adopted(
    world: World, other: dict[str, str]
) -> None:
    asked(world, **IMPORTED)
    with pytest.raises(RuleBroken, match="not_imported_from"):
        world.override("oscar", adopts=replace(ADOPTION, **other))


def test_a_version_that_was_made_here_is_not_adopted(world: World) -> None:
    asked(world)
    with pytest.raises(RuleBroken, match="not_imported_from"):
        world.override("oscar", adopts=ADOPTION)


def test_a_promotion_that_does_not_make_the_version_serve_adopts_nothing(world: World) -> None:
    asked(world, serve=False, **IMPORTED)
    with pytest.raises(RuleBroken, match="not_requested_to_serve"):
        world.override("oscar", adopts=ADOPTION)


def test_who_made_the_version_does_not_adopt_it(world: World) -> None:
    asked(world, **IMPORTED)
    with pytest.raises(RuleBroken, match="own_work"):
        world.override("carl", adopts=ADOPTION)


def test_a_claimed_stage_alone_grants_nothing(world: World) -> None:
    asked(world, **IMPORTED)
    assert world.assess() == []
    assert world.of(PromotionGranted) == []
