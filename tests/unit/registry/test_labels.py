"""Labels: what MLflow's clients set for themselves, where the mode of a namespace lets them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.registry.domain.labels import modes
from services.registry.domain.labels.labels import HideModel, RemoveLabelAlias, SetLabels
from services.registry.domain.labels.modes import STREAM, MlflowModeSet, Modes, SetMlflowMode
from services.registry.domain.model.events import Label
from services.registry.domain.model.metadata import External, Metadata
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from services.registry.domain.withdrawal.retirement import RetireOnRequest
from services.registry.publish import publish
from shared.deciding.decider import NotFound, RuleBroken, Unprocessable
from tests.unit.registry.given import MODEL_ID, Story, a_digest, metadata, names
from tests.unit.registry.test_read_models import recorded


def labelled(drafts: int = 2) -> Story:
    """A model with drafts in a namespace of the mode `labels`."""
    story = Story()
    story.append(MlflowModeSet("team", "labels"), STREAM)
    for number in range(drafts):
        story.register(external(f"s3://bucket/{number}"), draft=True)
    return story


def external(uri: str) -> Metadata:
    return Metadata(external=External(uri, "run-1"))


def when(story: Story, command: Any) -> list[Any]:
    return story.when(command, STREAM)


def test_every_draft_with_an_external_location_is_a_new_one():
    story = Story()
    assert [story.register(external("s3://b/a"), draft=True) for _ in range(2)] == [1, 2]


def test_a_draft_without_one_is_registered_once():
    story = Story()
    assert [
        story.register(replace(metadata(), training=metadata().training), draft=True) for _ in range(2)
    ] == [
        1,
        1,
    ]


def test_where_an_external_draft_came_from_stays_when_it_is_completed():
    story = Story()
    story.register(external("s3://b/a"), draft=True)
    registered = story.log[f"model-{MODEL_ID}"][-1]
    assert registered.metadata.external == External("s3://b/a", "run-1")


def test_a_draft_gets_any_label():
    story = labelled()
    (event,) = when(story, SetLabels(MODEL_ID, 1, "Production", alias="best"))
    assert (event.stages, event.aliases) == ((Label(1, "Production"),), {"best": 1})
    assert when(story, SetLabels(MODEL_ID, 1, "Production", alias="best")) == []
    assert story.version(1).stage == "Draft"


def test_a_transition_archives_the_others_of_that_stage_in_one_event():
    story = labelled(3)
    for number in (1, 2):
        when(story, SetLabels(MODEL_ID, number, "Staging"))
    (event,) = when(story, SetLabels(MODEL_ID, 3, "Staging", archive_existing=True))
    assert event.stages == (Label(1, "Archived"), Label(2, "Archived"), Label(3, "Staging"))


def test_an_alias_moves_and_is_removed():
    story = labelled()
    for number in (1, 2):
        when(story, SetLabels(MODEL_ID, number, alias="best"))
    assert story.model.label_aliases["best"] == 2
    when(story, RemoveLabelAlias(MODEL_ID, "best"))
    assert "best" not in story.model.label_aliases
    assert when(story, RemoveLabelAlias(MODEL_ID, "best")) == []


@pytest.mark.parametrize("alias", ["latest", "LATEST", "v12", "a b", "ä" * 256])
def test_a_reserved_or_malformed_alias_is_refused(alias):
    with pytest.raises(Unprocessable, match="invalid_label"):
        when(labelled(), SetLabels(MODEL_ID, 1, alias=alias))


def test_a_hidden_version_loses_its_aliases_and_takes_no_label():
    story = labelled()
    when(story, SetLabels(MODEL_ID, 1, alias="best"))
    (event,) = when(story, SetLabels(MODEL_ID, 1, hide=True))
    assert (event.hidden, event.aliases) == ((1,), {"best": 0})
    with pytest.raises(NotFound):
        when(story, SetLabels(MODEL_ID, 1, "Staging"))


def test_a_hidden_model_begins_again_without_its_versions():
    story = labelled()
    when(story, SetLabels(MODEL_ID, 2, alias="best"))
    (event,) = when(story, HideModel(MODEL_ID, hidden=True))
    assert (event.hidden, event.aliases, event.model_hidden) == ((1, 2), {"best": 0}, True)
    assert when(story, HideModel(MODEL_ID, hidden=True)) == []
    when(story, HideModel(MODEL_ID, hidden=False))
    assert story.register(external("s3://b/new"), draft=True) == 3
    assert not story.model.model_hidden


@pytest.mark.parametrize("command", [SetLabels(MODEL_ID, 1, "Staging"), RemoveLabelAlias(MODEL_ID, "a")])
def test_a_governed_namespace_takes_no_labels(command):
    story = Story()
    story.register()
    with pytest.raises(RuleBroken, match="namespace_governed"):
        when(story, command)


def test_a_governed_model_is_hidden_once_its_versions_are_retired():
    story = Story()
    story.register()
    with pytest.raises(RuleBroken, match="model_has_versions"):
        when(story, HideModel(MODEL_ID, hidden=True))
    story.when(RetireOnRequest(MODEL_ID, 1))
    assert names(when(story, HideModel(MODEL_ID, hidden=True))) == ["LabelsChanged"]


def test_labels_change_no_etag_and_no_decision():
    story = labelled()
    before = story.version(1)
    when(story, SetLabels(MODEL_ID, 1, "Production", alias="best"))
    assert story.version(1) == before
    assert names(story.when(RetireOnRequest(MODEL_ID, 1))) == ["VersionRetired"]


@pytest.mark.parametrize(
    ("namespace", "mode"),
    [
        ("team", "labels"),
        ("team.ml", "labels"),
        ("team.ml.core", "governed"),
        ("other", "governed"),
        ("", "governed"),
    ],
)
def test_the_nearest_namespace_with_a_mode_decides(namespace, mode):
    state = Modes()
    for event in (MlflowModeSet("team", "labels"), MlflowModeSet("team.ml.core", "governed")):
        state = modes.evolve(state, event)
    assert state.of(namespace) == mode


def test_the_mode_of_everywhere_holds_where_none_was_chosen():
    state = modes.evolve(Modes(), MlflowModeSet("*", "labels"))
    assert {state.of(""), state.of("any.where")} == {"labels"}


def test_a_mode_is_set_once_and_for_a_namespace_only():
    state = modes.evolve(Modes(), MlflowModeSet("team", "labels"))
    assert modes.decide(SetMlflowMode("team", "labels"), state) == []
    with pytest.raises(Unprocessable, match="invalid_namespace"):
        modes.decide(SetMlflowMode("a b", "labels"), state)


def test_a_registration_with_the_same_metadata_and_no_draft_is_no_new_version():
    story = Story()
    story.register()
    assert story.when(RegisterVersion(MODEL_ID, "team.churn", metadata())) == []


def test_a_draft_from_elsewhere_publishes_its_files_and_other_drafts_do_not():
    story = Story()
    story.register(replace(metadata(), external=External("models:/m-1")), draft=True)
    story.register(replace(metadata(2), training=metadata(2).training), draft=True)
    sent = [publish(r).data for r in recorded(story) if r.type == "VersionRegistered"]
    assert [one.artifact and one.artifact.digest for one in sent] == [a_digest(1), None]
    assert sent[0].requester_subject == "ann"


def test_files_that_come_later_are_published_while_the_draft_is_incomplete():
    story = Story()
    story.register(external("s3://b/a"), draft=True)
    story.when(AddMetadata(MODEL_ID, 1, Metadata(artifact=metadata().artifact), by="ann"))
    added = [publish(r).data for r in recorded(story) if r.type == "MetadataAdded"]
    assert [(type(one).__name__, one.number, one.artifact.digest) for one in added] == [
        ("DraftRegistered", 1, a_digest(1))
    ]
