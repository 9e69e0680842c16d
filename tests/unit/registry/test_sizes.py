"""No registration makes an event that the topics could not carry."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.registry.domain.model.events import Evaluation
from services.registry.domain.model.metadata import Input, Metric
from services.registry.domain.model.past import MOST_BYTES, MOST_SHOWN
from services.registry.domain.registration.commands import RegisterVersion
from services.registry.domain.validation.evaluations import RecordEvaluation
from shared.deciding.decider import RuleBroken
from shared.deciding.events import encode
from tests.unit.registry.given import MODEL_ID, SIGNATURE, Claim, Story, a_digest, metadata, names


def wide(artifact: int, features: int, inputs: int = 0, *, width: int = 0):
    """A document whose features and inputs all have names of their own, of `width` characters and more."""
    document = metadata(
        artifact, features=tuple(f"feature_{artifact}_{n}".ljust(width, "_") for n in range(features))
    )
    columns = tuple(Input(f"input_{artifact}_{n}".ljust(width, "_"), "double") for n in range(inputs))
    return replace(document, signature=replace(SIGNATURE, inputs=columns))


def test_thousands_of_changes_are_counted_and_the_most_important_kept():
    story = Story()
    story.register(wide(1, 8_000, 100))
    (registered,) = story.when(RegisterVersion(MODEL_ID, "team.churn", wide(2, 8_000, 100)))
    assert (registered.bump.level, len(registered.bump.changes), registered.bump.omitted) == (
        "major",
        50,
        16_000 + 200 + 1 - 50,
    )
    assert {c.level for c in registered.bump.changes} == {"major"}
    assert len(encode(registered)) < MOST_BYTES // 2


def test_a_long_value_is_published_as_its_digest():
    story = Story()
    story.register()
    (registered,) = story.when(
        RegisterVersion(
            MODEL_ID, "team.churn", metadata(2, config={"depth": 3, "query": "x" * 10_000, "y" * 10_000: 1})
        )
    )
    added = {c.path[:30]: c.after for c in registered.bump.changes if c.part == "config"}
    assert added["training.config.query"].startswith("sha256:")
    assert added["training.config.query"].endswith("(10002 bytes)")
    assert max(len(c.path) for c in registered.bump.changes) < 300


def test_the_proof_against_a_claim_is_bounded_too():
    story = Story()
    story.register(wide(1, 8_000))
    (refused,) = story.when(
        RegisterVersion(MODEL_ID, "team.churn", wide(2, 8_000), claim=Claim(level="patch", exact=True))
    )
    assert len(refused.proof) == 50


@pytest.mark.parametrize(("features", "inputs", "field"), [(500, 3_000, "signature"), (3_500, 0, "training")])
def test_a_version_that_no_event_can_carry_is_refused_with_the_part_that_is_too_large(
    features, inputs, field
):
    story = Story()
    story.register()
    (refused,) = story.when(RegisterVersion(MODEL_ID, "team.churn", wide(2, features, inputs, width=700)))
    assert [p.field for p in refused.problems] == [field]
    assert f"{MOST_BYTES:,}" in refused.problems[0].problem
    assert len(encode(refused)) < 10_000


def test_a_champion_is_published_with_its_newest_and_its_primary_evaluations():
    story = Story()
    story.promote(
        metadata(
            1,
            metrics=(
                Metric("first", 0.9, "d", primary=True),
                *(Metric(f"m{n}", 0.5, "d") for n in range(100)),
            ),
        )
    )
    (registered,) = story.when(RegisterVersion(MODEL_ID, "team.churn", metadata(2)))
    shown = [e.name for e in registered.champion.evaluations]
    assert (len(shown), shown[0], shown[-1]) == (MOST_SHOWN, "first", "m99")


def test_evidence_that_no_event_can_carry_is_not_sent():
    story = Story()
    story.validate(wide(1, 2_000, width=700))
    for n in range(200):
        story.when(
            RecordEvaluation(
                MODEL_ID, 1, Evaluation(f"m{n}", 0.5, a_digest(n), definition="d" * 2_000, by="lab")
            )
        )
    with pytest.raises(RuleBroken, match="evidence_too_large"):
        story.request_promotion(1, "p1")
    story.validate(metadata(2))
    assert names(story.request_promotion(2, "p2")) == ["PromotionRequested"]
