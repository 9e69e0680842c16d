"""Descriptions, tags, notes and corrections of versions: they keep what stood before."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from regista.wire import limits
from services.registry.domain.model import past
from services.registry.domain.model.events import Correction, MetadataCorrected, NoteAdded, VersionDescribed
from services.registry.domain.model.metadata import Framework
from services.registry.domain.remarks.correction import EditVersion
from services.registry.domain.remarks.notes import MOST_NOTES, AddNote, CorrectNote
from shared.deciding.decider import Forbidden, NotFound, RuleBroken, Stale, Streams, Unprocessable
from tests.unit.registry.given import MODEL_ID, STREAM, Story, metadata, names

RUN = "training.run_url"


def edit(number: int, **changes: Any) -> EditVersion:
    return EditVersion(MODEL_ID, number, changes.pop("by", "ann"), **changes)


def correct(number: int, fields: dict[str, str | None], **more: Any) -> EditVersion:
    return edit(number, fields=fields, **more)


def document(story: Story, number: int) -> Any:
    streams = Streams({STREAM: story.model}, {(STREAM, n): x for n, x in enumerate(story.log[STREAM], 1)})
    return past.document(MODEL_ID, story.model, number, streams)


@pytest.fixture
def story() -> Story:
    made = Story()
    made.validate(metadata(run_url="http://runs/1"), by="ci")
    return made


def test_a_description_and_tags_are_stored_with_what_stood_before(story: Story) -> None:
    story.when(edit(1, description="first", set_tags={"team": "risk", "data": "may"}))
    (event,) = story.when(edit(1, set_tags={"team": "fraud"}, remove_tags=("data",)))
    assert event == VersionDescribed(
        "team.churn", 1, "1.0.0", "first", {"team": "fraud"}, "first", {"team": "risk", "data": "may"}
    )


def test_a_description_can_be_cleared_and_the_same_one_changes_nothing(story: Story) -> None:
    story.when(edit(1, description="first"))
    assert story.when(edit(1, description="first")) == []
    (event,) = story.when(edit(1, description=""))
    assert (event.description, event.previous_description) == ("", "first")


def test_a_draft_and_a_rejected_version_take_descriptions_and_notes(story: Story) -> None:
    draft = story.register(metadata(2, dataset=None), draft=True)
    assert names(story.when(edit(draft, description="waits for data"))) == ["VersionDescribed"]
    assert names(story.when(AddNote(MODEL_ID, draft, "which data?", "ann"))) == ["NoteAdded"]


def test_a_version_has_a_bounded_number_of_tags(story: Story) -> None:
    story.when(edit(1, set_tags={str(n): "" for n in range(limits.TAGS)}))
    with pytest.raises(RuleBroken, match="too_many_tags"):
        story.when(edit(1, set_tags={"one": "more"}))
    story.when(edit(1, set_tags={"one": "more"}, remove_tags=("0",)))


def test_tags_of_a_version_are_bounded_together(story: Story) -> None:
    with pytest.raises(RuleBroken, match="at most 64,000 characters in all names and values"):
        story.when(edit(1, set_tags={str(n): "x" * limits.TAG_VALUE for n in range(13)}))


def test_a_change_of_what_the_caller_did_not_see_is_stale(story: Story) -> None:
    seen = story.version(1).revision
    story.when(edit(1, description="first", expected=seen))
    with pytest.raises(Stale):
        story.when(edit(1, description="second", expected=seen))


def test_a_corrected_run_link_is_the_links_value_from_now_on(story: Story) -> None:
    (event,) = story.when(correct(1, {RUN: "http://runs/2"}))
    change = Correction(RUN, "http://runs/1", "http://runs/2")
    assert event == MetadataCorrected("team.churn", 1, "1.0.0", (change,), {RUN: "http://runs/2"})
    assert document(story, 1).training.run_url == "http://runs/2"
    assert story.when(correct(1, {RUN: "http://runs/2"})) == []


def test_corrections_add_up(story: Story) -> None:
    story.when(correct(1, {RUN: "http://runs/2"}))
    (event,) = story.when(
        correct(1, {"training.framework.version": "1.7.1", "training.code.repository": "git://x"})
    )
    assert event.corrected == {
        RUN: "http://runs/2",
        "training.framework.version": "1.7.1",
        "training.code.repository": "git://x",
    }
    training = document(story, 1).training
    assert (training.framework, training.code.repository) == (Framework("scikit-learn", "1.7.1"), "git://x")
    assert training.code.revision == "abc"


@pytest.mark.parametrize("removed", ["", None])
def test_a_wrong_link_can_be_removed(story: Story, removed: str | None) -> None:
    (event,) = story.when(correct(1, {RUN: removed}))
    assert event.changes == (Correction(RUN, "http://runs/1", None),)
    assert document(story, 1).training.run_url is None


@pytest.mark.parametrize(
    ("path", "instead"),
    [
        ("training.dataset.digest", "register a new version"),
        ("training.dataset.name", "register a new version"),
        ("training.metrics", "record a new evaluation"),
        ("training.metrics.auc", "record a new evaluation"),
        ("training.config", "register a new version"),
        ("training.config.depth", "register a new version"),
        ("training.creator", "register a new version"),
        ("training.on_behalf_of", "register a new version"),
        ("training.trained_at", "register a new version"),
        ("training.code.revision", "register a new version"),
        ("training.code.digest", "register a new version"),
        ("artifact.digest", "register a new version"),
        ("schema.inputs", "register a new version"),
        ("signature", "register a new version"),
        ("semver", "choose one of training.run_url"),
    ],
)
def test_what_decisions_are_bound_to_is_not_corrected(story: Story, path: str, instead: str) -> None:
    with pytest.raises(Unprocessable, match="not_correctable") as refused:
        story.when(correct(1, {path: "x", RUN: "http://runs/2"}))
    assert instead in str(refused.value)


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"training.framework.name": ""}, "field_required"),
        ({"training.run_url": "notaurl"}, "not_a_link"),
        ({"training.run_url": "mlflow.example/runs/8"}, "not_a_link"),
        ({"training.run_url": "https://"}, "not_a_link"),
        ({"training.run_url": "https://x/a b"}, "not_a_link"),
        ({"training.run_url": "javascript://x/%0aalert(1)"}, "not_a_link"),
        ({"training.run_url": "http://[x"}, "not_a_link"),
        ({"training.framework.name": "x" * 201}, "field_too_long"),
        ({"training.code.repository": "x" * 501}, "field_too_long"),
    ],
)
def test_a_corrected_value_keeps_the_rules_of_its_field(
    story: Story, fields: dict[str, str | None], code: str
) -> None:
    with pytest.raises(Unprocessable, match=code):
        story.when(correct(1, fields))


def test_a_framework_version_needs_a_framework() -> None:
    story = Story()
    story.register(metadata(framework=None))
    with pytest.raises(Unprocessable, match="framework_unnamed"):
        story.when(correct(1, {"training.framework.version": "2"}))
    both: dict[str, str | None] = {"training.framework.version": "2", "training.framework.name": "xgboost"}
    (event,) = story.when(correct(1, both))
    assert document(story, 1).training.framework == Framework("xgboost", "2")
    assert [change.before for change in event.changes] == [None, None]


def test_a_draft_is_completed_rather_than_corrected(story: Story) -> None:
    draft = story.register(metadata(2, dataset=None), draft=True)
    with pytest.raises(RuleBroken, match="version_is_draft"):
        story.when(correct(draft, {RUN: "http://runs/2"}))


def test_an_open_promotion_ends_when_a_field_is_corrected_that_its_approvers_see(story: Story) -> None:
    story.request_promotion(1, "p1")
    refused, corrected = story.when(correct(1, {RUN: "http://runs/2"}))
    assert names([refused, corrected]) == ["PromotionRefused", "MetadataCorrected"]
    assert refused.promotion_id == "p1"
    assert refused.reasons[0].startswith("lapsed: training.run_url was corrected")
    story.grant_promotion("p1", 1)
    assert story.version(1).stage == "Validated"


def test_an_open_promotion_goes_on_when_nothing_that_its_approvers_see_changes(story: Story) -> None:
    story.request_promotion(1, "p1")
    story.when(edit(1, description="first", set_tags={"a": "b"}))
    story.when(AddNote(MODEL_ID, 1, "looks good", "ann"))
    assert story.when(correct(1, {RUN: "http://runs/1"})) == []
    story.grant_promotion("p1", 1)
    assert story.version(1).stage == "Production"


def test_a_promotion_of_another_version_goes_on(story: Story) -> None:
    two = story.validate(metadata(2))
    story.request_promotion(two, "p2")
    assert names(story.when(correct(1, {RUN: "http://runs/2"}))) == ["MetadataCorrected"]
    story.grant_promotion("p2", two)
    assert story.version(two).stage == "Production"


def test_a_promotion_requested_after_the_correction_has_the_corrected_evidence(story: Story) -> None:
    story.when(correct(1, {RUN: "http://runs/2"}))
    (request,) = story.request_promotion(1, "p1")
    assert request.evidence["training"]["run_url"] == "http://runs/2"
    story.grant_promotion("p1", 1)
    assert story.version(1).stage == "Production"


def test_the_first_message_repeated_after_a_correction_makes_no_new_version(story: Story) -> None:
    story.when(correct(1, {RUN: "http://runs/2"}))
    assert story.register(metadata(run_url="http://runs/1")) == 1


def test_notes_are_counted_and_have_their_author(story: Story) -> None:
    story.when(AddNote(MODEL_ID, 1, "one", "ann"))
    (second,) = story.when(AddNote(MODEL_ID, 1, "two", "bob"))
    assert second == NoteAdded("team.churn", 1, "1.0.0", 2, "two", "bob")


def test_the_author_corrects_a_note_and_no_one_else(story: Story) -> None:
    story.when(AddNote(MODEL_ID, 1, "on", "ann"))
    with pytest.raises(Forbidden, match="not_your_note"):
        story.when(CorrectNote(MODEL_ID, 1, 1, "one", "bob"))
    (event,) = story.when(CorrectNote(MODEL_ID, 1, 1, "one", "ann"))
    assert (event.note, event.text) == (1, "one")
    assert story.when(CorrectNote(MODEL_ID, 1, 1, "one", "ann")) == []


@pytest.mark.parametrize("note", [0, 2])
def test_a_note_that_does_not_exist_is_not_corrected(story: Story, note: int) -> None:
    story.when(AddNote(MODEL_ID, 1, "one", "ann"))
    with pytest.raises(NotFound, match="unknown_note"):
        story.when(CorrectNote(MODEL_ID, 1, note, "x", "ann"))


def test_a_version_takes_a_bounded_number_of_notes(story: Story) -> None:
    for n in range(MOST_NOTES):
        story.when(AddNote(MODEL_ID, 1, str(n), "ann"))
    with pytest.raises(RuleBroken, match="too_many_notes"):
        story.when(AddNote(MODEL_ID, 1, "more", "ann"))


def test_a_note_is_corrected_a_bounded_number_of_times(story: Story) -> None:
    story.when(AddNote(MODEL_ID, 1, "0", "ann"))
    for n in range(1, 21):
        story.when(CorrectNote(MODEL_ID, 1, 1, str(n), "ann"))
    with pytest.raises(RuleBroken, match="too_many_corrections"):
        story.when(CorrectNote(MODEL_ID, 1, 1, "21", "ann"))


def test_a_publisher_remarks_on_own_versions_only(story: Story) -> None:
    note = AddNote(MODEL_ID, 1, "one", "ci", own_only=True)
    story.when(note)
    story.when(correct(1, {RUN: "http://runs/2"}, by="ci", own_only=True))
    for command in (replace(note, by="other"), edit(1, description="x", by="other", own_only=True)):
        with pytest.raises(Forbidden, match="not_your_version"):
            story.when(command)
