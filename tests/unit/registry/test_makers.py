"""Who made a version is known from its first word on, and measures or approves nothing of it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

import pytest

from services.registry.domain.model.events import Evaluation
from services.registry.domain.model.metadata import Metadata, Training
from services.registry.domain.model.past import makers_of
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from services.registry.domain.validation.evaluations import RecordEvaluation
from services.registry.publish import publish
from shared.deciding.decider import RuleBroken
from shared.deciding.events import Actor, Recorded
from shared.deciding.person import Person
from tests.unit.registry.given import MODEL_ID, Story, metadata


def a_draft(**training) -> Story:
    story = Story()
    story.when(
        RegisterVersion(
            MODEL_ID,
            "team.churn",
            Metadata(training=Training(**training)),
            new_model=True,
            draft=True,
            by="maker",
        )
    )
    return story


@pytest.mark.parametrize("name", ["creator", "on_behalf_of"])
@pytest.mark.parametrize("given", ["other", ""])
def test_who_made_a_draft_cannot_be_overwritten(name, given):
    story = a_draft(**{name: "maker"})
    (refused,) = story.when(
        AddMetadata(MODEL_ID, 1, Metadata(training=Training(**{name: given})), by="other")
    )
    assert [p.field for p in refused.problems] == [f"training.{name}"]
    assert (
        story.when(
            AddMetadata(MODEL_ID, 1, Metadata(training=Training(**{name: "maker"}, seed=1)), by="other")
        )[0].number
        == 1
    )


def test_every_sender_of_metadata_is_a_contributor():
    story = a_draft()
    (learnt,) = story.when(AddMetadata(MODEL_ID, 1, Metadata(training=Training(seed=1)), by="helper"))
    assert learnt.contributors == ("maker", "helper")
    (complete,) = story.when(AddMetadata(MODEL_ID, 1, metadata(), by="maker"))
    assert (complete.semver, complete.contributors) == ("1.0.0", ("maker", "helper"))


@pytest.mark.parametrize("by", ["ci", "CI", "Boss", "maker", "Helper"])
def test_a_contributor_cannot_measure_the_version_independently(by):
    story = a_draft()
    story.when(AddMetadata(MODEL_ID, 1, Metadata(training=Training(seed=1)), by="helper"))
    story.when(AddMetadata(MODEL_ID, 1, metadata(on_behalf_of="boss"), by="maker"))
    with pytest.raises(RuleBroken, match="not_independent"):
        story.when(RecordEvaluation(MODEL_ID, 1, Evaluation("f1", 0.5, "d", independent=True, by=by)))
    own = RecordEvaluation(MODEL_ID, 1, Evaluation("f1", 0.5, "d", independent=True, by="u-7"))
    with pytest.raises(RuleBroken, match="not_independent"):
        story.when(replace(own, people={"u-7": Person("u-7", (by,))}))
    assert story.when(RecordEvaluation(MODEL_ID, 1, Evaluation("f1", 0.5, "d", independent=True, by="lab")))


def of_a_job() -> Story:
    story = Story()
    command = RegisterVersion(
        MODEL_ID, "team.churn", metadata(), new_model=True, by="ci", started_by="octocat"
    )
    story.when(command)
    return story


def test_who_started_the_job_that_sent_a_version_is_a_maker_of_it_for_every_reader():
    story = Story()
    command = RegisterVersion(
        MODEL_ID, "team.churn", Metadata(), new_model=True, draft=True, by="ci", started_by="octocat"
    )
    story.when(command)
    (complete,) = story.when(AddMetadata(MODEL_ID, 1, metadata(), by="ci", started_by="hubot"))
    assert (complete.contributors, complete.started_by) == (("ci",), ("octocat", "hubot"))
    assert makers_of(complete)[-2:] == ("octocat", "hubot")
    at = datetime(2026, 11, 30, tzinfo=UTC)
    stored = Recorded(
        "registry", f"model-{MODEL_ID}", 4, UUID(int=1), "MetadataAdded", 5, at, Actor("ci"), complete, b""
    )
    assert publish(stored).data.contributors == ("ci", "octocat", "hubot")


@pytest.mark.parametrize(("by", "started_by"), [("Octocat", ""), ("lab", "octocat")])
def test_who_started_the_job_measures_nothing_of_it_independently_not_by_another_job_either(by, started_by):
    measured = Evaluation("f1", 0.5, "d", independent=True, by=by)
    with pytest.raises(RuleBroken, match="not_independent"):
        of_a_job().when(RecordEvaluation(MODEL_ID, 1, measured, started_by=started_by))
