"""What is stored, shown and published of a history: the same facts three times."""

from __future__ import annotations

import uuid
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec

from services.registry.brief import IN_BRIEF
from services.registry.domain import noted
from services.registry.domain.labels.labels import HideModel, RemoveLabelAlias, SetLabels
from services.registry.domain.labels.modes import STREAM as MODES_STREAM
from services.registry.domain.labels.modes import MlflowModeSet
from services.registry.domain.model.events import Evaluation
from services.registry.domain.model.imported import ImportedFrom
from services.registry.domain.model.metadata import Dataset, Metadata, Parent, Training
from services.registry.domain.naming.description import DescribeModel
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from services.registry.domain.remarks.correction import EditVersion
from services.registry.domain.remarks.notes import AddNote, CorrectNote
from services.registry.domain.serving.after_review import NoteAfterReview
from services.registry.domain.serving.alias import RemoveAlias, SetAlias
from services.registry.domain.serving.environment import (
    ENVIRONMENTS,
    EnvironmentCreated,
    EnvironmentEdited,
    EnvironmentRetired,
)
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.serving.stop import StopRollout
from services.registry.domain.validation.evaluations import RecordEvaluation
from services.registry.domain.withdrawal.legal_hold import PlaceLegalHold, ReleaseLegalHold
from services.registry.domain.withdrawal.rejection import RecallVersion, RejectVersion
from services.registry.domain.withdrawal.retirement import RetireVersion
from services.registry.domain.withdrawal.reversal import ReinstateVersion, ReopenVersion
from services.registry.projections import project
from services.registry.publish import PUBLIC, publish
from services.registry.stored_events import EVENTS
from services.registry.tables import TABLES
from shared.deciding.changes import Drop, Patch, Put
from shared.deciding.events import Actor, Recorded, encode
from shared.log.read_models import copy_row
from tests.unit.registry.given import MODEL_ID, Story, a_digest, a_note, metadata


def overridden(story: Story) -> None:
    """A version that an override promoted, and that was not justified."""
    override = story.validate(metadata(20))
    story.request_promotion(override, "p-override")
    story.grant_promotion("p-override", override, override=True, review_id="r-override")
    reviewed = {"review_id": "r-override", "model_id": MODEL_ID, "number": override, "justified": False}
    data = reviewed | {"environment": "production", "consequence": "stop"}
    story.when(NoteAfterReview(MODEL_ID, a_note("approval", "review-x", 2, noted.OVERRIDE_REVIEWED, data)))


def remarked(story: Story) -> None:
    """A version that was described, noted about and corrected."""
    labelled(story)
    edit = EditVersion(MODEL_ID, 1, "ann", "the first one", {"team": "risk"})
    story.when(edit)
    story.when(replace(edit, description=None, set_tags={}, remove_tags=("team",)))
    story.when(replace(edit, fields={"training.run_url": "https://runs/2"}))
    story.when(AddNote(MODEL_ID, 1, "trained on Feburary", "ann"))
    story.when(CorrectNote(MODEL_ID, 1, 1, "trained on February", "ann"))


def labelled(story: Story) -> None:
    """What clients of MLflow set for themselves."""
    story.append(MlflowModeSet("team", "labels"), MODES_STREAM)
    story.when(SetLabels(MODEL_ID, 2, "Production", alias="best"), MODES_STREAM)
    story.when(RemoveLabelAlias(MODEL_ID, "best"), MODES_STREAM)
    story.when(SetLabels(MODEL_ID, 1, hide=True), MODES_STREAM)
    story.when(HideModel(MODEL_ID, hidden=True), MODES_STREAM)


def everything() -> Story:
    """A history with every kind of event."""
    story = Story()
    story.promote()
    story.promote(metadata(2))
    story.when(ChangeRollout(MODEL_ID, "production", (Share(1, 90, "champion"), Share(2, 10, "challenger"))))
    story.when(ChangeRollout(MODEL_ID, "production", (Share(2, 100, "champion"),)))
    story.when(RollBack(MODEL_ID, "production"))
    story.register(metadata(3, dataset=None), draft=True)
    story.when(AddMetadata(MODEL_ID, 3, Metadata(training=Training(seed=1))))
    story.when(AddMetadata(MODEL_ID, 3, Metadata(training=Training(dataset=Dataset("d", a_digest("d"))))))
    story.when(RegisterVersion(MODEL_ID, "", Metadata()))
    story.register(replace(metadata(4), parents=(Parent("team.churn", 3, "base_model", MODEL_ID),)))
    story.when(RecordEvaluation(MODEL_ID, 3, Evaluation("f1", 0.5, a_digest("t"), by="lab")))
    story.when(SetAlias(MODEL_ID, "a", 3))
    story.when(SetAlias(MODEL_ID, "b", 3))
    story.when(RemoveAlias(MODEL_ID, "b"))
    story.when(PlaceLegalHold(MODEL_ID, 1))
    story.when(PlaceLegalHold(MODEL_ID, 3))
    story.when(ReleaseLegalHold(MODEL_ID, 3))
    story.note_artifact(3)
    story.note_gates(3)
    story.request_promotion(3, "p3")
    story.when(DescribeModel(MODEL_ID, model="team.leave", owner="o", tags={"a": "b"}, description="d"))
    story.grant_promotion("p3", 3)
    proposal = {"model_id": MODEL_ID, "rule": "unused", "sweep_id": "s"}
    for number in (3, 4):
        story.when(
            RetireVersion(
                MODEL_ID,
                a_note(
                    "cleanup",
                    "retention-x",
                    number,
                    "regista.cleanup.RetirementProposed.v1",
                    proposal | {"number": number},
                ),
            )
        )
    story.register(metadata(5))
    story.when(RejectVersion(MODEL_ID, 5, "no"))
    story.promote(metadata(6))
    story.when(ChangeRollout(MODEL_ID, "production", (Share(1, 50, "champion"), Share(6, 50, "challenger"))))
    story.when(RollBack(MODEL_ID, "production"))
    story.when(ReopenVersion(MODEL_ID, 2))
    story.when(RecallVersion(MODEL_ID, 2, by="eva"))
    story.when(ReinstateVersion(MODEL_ID, 2, "ann"))
    story.when(RecallVersion(MODEL_ID, 2, by="eva"))
    story.when(StopRollout(MODEL_ID, "production"))
    story.register(metadata(9))
    story.note_gates(story.model.newest, policy={"two_to_recall": True})
    story.when(RecallVersion(MODEL_ID, story.model.newest, by="eva", withdrawal_id="w1"))
    story.promote(metadata(7), "staging")
    number = story.promote(metadata(8), "staging")
    story.when(ChangeRollout(MODEL_ID, "staging", (Share(number, 100, "champion"),)))
    story.when(RollBack(MODEL_ID, "staging"))
    story.append(EnvironmentCreated("team", "canary", False, 5, ""), ENVIRONMENTS)
    story.append(EnvironmentEdited("team", "canary", 6, "one percent"), ENVIRONMENTS)
    story.append(EnvironmentRetired("team", "canary"), ENVIRONMENTS)
    overridden(story)
    remarked(story)
    there = ImportedFrom("mlflow", "https://mlflow.example.com", "churn", "7", stage="Production")
    story.register(replace(metadata(10), imported_from=there))
    return story


def recorded(story: Story) -> list[Recorded]:
    """Every event as the log gives it back."""
    out = []
    for stream, events in story.log.items():
        for revision, event in enumerate(events, 1):
            type_ = type(event).__name__
            decoded = EVENTS.decode(type_, EVENTS.schema_of(event), encode(event))
            assert decoded == event
            moment = datetime(2026, 1, 1, 0, 0, revision % 60, tzinfo=UTC)
            out.append(
                Recorded(
                    "registry",
                    stream,
                    revision,
                    uuid.uuid4(),
                    type_,
                    1,
                    moment,
                    Actor("ann"),
                    decoded,
                    b"",
                    reason="why",
                    correlation_id="c",
                )
            )
    return out


Tables = dict[str, dict[tuple[Any, ...], dict[str, Any]]]


def rows(events: list[Recorded]) -> Tables:
    tables: Tables = {t.name: {} for t in TABLES}
    for event in events:
        apply(tables, event)
    return tables


def apply(tables: Tables, event: Recorded) -> None:
    """Change the rows as the event does."""
    for change in project(event):
        table, names = tables[change.table.name], [c.name for c in change.table.primary_key.columns]
        columns = {c.name for c in change.table.columns}
        values = change.row if isinstance(change, Put) else change.key
        key = tuple(values[name] for name in names)
        match change:
            case Put():
                assert change.row.keys() <= columns
                assert {c.name for c in change.table.columns if not c.nullable} <= change.row.keys()
                table[key] = dict(change.row)
            case Patch():
                assert change.columns.keys() <= columns
                assert key in table
                table[key].update(change.columns)
            case Drop():
                table.pop(key, None)


STORY = everything()
RECORDED = recorded(STORY)


def test_the_history_has_every_stored_event():
    assert {c.__name__ for c in EVENTS.classes} | {"Noted"} == {r.type for r in RECORDED}


def test_an_event_read_in_brief_changes_the_same_rows():
    brief = EVENTS.in_brief(IN_BRIEF)
    whole = [r for r in RECORDED if r.type in {class_.__name__ for class_ in IN_BRIEF}]
    read = [msgspec.structs.replace(r, event=brief.decode(r.type, 1, encode(r.event))) for r in whole]
    assert any(type(part.event) is not type(r.event) for part, r in zip(read, whole, strict=True))
    for part, r in zip(read, whole, strict=True):
        assert [copied(change) for change in project(part)] == [copied(change) for change in project(r)]


def copied(change: Put) -> tuple[Any, ...]:
    return change.table.name, *copy_row(change.table, change.row)


def test_every_event_changes_a_row():
    without = {"ChildUnlinked"}  # the row of a child stays: lineage shows retired versions, too
    assert {r.type for r in RECORDED} - without == {r.type for r in RECORDED if list(project(r))}


def test_rows_have_the_same_facts_as_the_state():
    tables = rows(RECORDED)
    model = STORY.model
    versions = {number: row for (_, number), row in tables["versions"].items()}
    assert {n: (r["semver"] or "", r["stage"], r["revision"]) for n, r in versions.items()} == {
        n: (v.semver, v.stage, v.revision) for n, v in model.versions.items()
    }
    assert {n for n, r in versions.items() if r.get("legal_hold")} == {
        n for n, v in model.versions.items() if v.held
    }
    assert {n for n, r in versions.items() if r.get("withdrawn")} == {
        n for n, v in model.versions.items() if v.recalled
    }
    assert {n for n, r in versions.items() if r.get("retired")} == {
        n for n, v in model.versions.items() if v.retired
    }
    assert {a: r["number"] for (_, a), r in tables["aliases"].items()} == {
        a: x.number for a, x in model.aliases.items()
    }
    assert {e: (r["entries"], r["revision"]) for (_, e), r in tables["rollouts"].items()} == {
        e: (x.entries, x.revision) for e, x in model.rollouts.items()
    }
    (row,) = tables["models"].values()
    assert (row["name"], row["owner"], row["tags"], row["revision"]) == (
        model.model,
        model.owner,
        dict(model.tags),
        model.described,
    )
    assert {p for (p,), r in tables["promotions"].items() if r["state"] == "open"} == set(model.promotions)
    assert {name for (name,) in tables["names"]} == {"team.churn", "team.leave"}


def test_rows_keep_what_stood_before_a_correction():
    tables = rows(RECORDED)
    kept = [(r["field"], r["before"], r["after"]) for r in tables["corrections"].values()]
    texts = [row["text"] for key, row in sorted(tables["notes"].items()) if key[:2] == (MODEL_ID, 1)]
    assert texts == ["trained on Feburary", "trained on February"]
    assert ("training.run_url", None, "https://runs/2") in kept
    assert tables["versions"][MODEL_ID, 1]["corrected"] == {"training.run_url": "https://runs/2"}


def test_a_newer_claim_replaces_a_claim_and_an_independent_value_stands_beside_it():
    story = Story()
    number = story.validate()
    on_test = Evaluation("auc", 0.8, a_digest("test"), "test", by="ci")
    story.when(RecordEvaluation(MODEL_ID, number, on_test))
    story.when(RecordEvaluation(MODEL_ID, number, replace(on_test, value=0.7, independent=True, by="Lab")))
    story.when(RecordEvaluation(MODEL_ID, number, replace(on_test, value=0.6, independent=True, by="lab")))
    story.when(RecordEvaluation(MODEL_ID, number, replace(on_test, dataset_digest="sha256:may", by="ci")))
    found = rows(recorded(story))["measurements"].values()
    assert sorted((r["dataset_digest"], r["author"], r["value"]) for r in found) == sorted(
        [(a_digest("test"), "", 0.8), (a_digest("test"), "lab", 0.6), ("sha256:may", "", 0.8)]
    )


def test_a_draft_has_no_measurements_before_it_is_complete():
    story = Story()
    story.register(metadata(3, dataset=None), draft=True)
    assert rows(recorded(story))["measurements"] == {}
    story.when(AddMetadata(MODEL_ID, 1, Metadata(training=Training(dataset=Dataset("d", a_digest("d"))))))
    assert [r["name"] for r in rows(recorded(story))["measurements"].values()] == ["auc"]


def test_a_row_comes_from_one_stream():
    whole = rows(RECORDED)
    apart: dict[str, dict[Any, Any]] = {t.name: {} for t in TABLES}
    for stream in STORY.log:
        for name, table in rows([r for r in RECORDED if r.stream == stream]).items():
            assert not table.keys() & apart[name].keys()
            apart[name] |= table
    assert apart == whole


def test_every_public_type_is_published_as_it_is_described():
    published = [p for r in RECORDED if (p := publish(r)) is not None]
    assert {p.type for p in published} == set(PUBLIC)
    for event in published:
        assert type(event.data) is PUBLIC[event.type]
        back = msgspec.json.decode(encode(event.data), type=PUBLIC[event.type])
        assert back == event.data


def test_names_notes_and_labels_are_no_messages():
    internal = {"NameClaimed", "Noted", "MetadataAdded", "LabelsChanged", "MlflowModeSet"}
    assert {r.type for r in RECORDED if publish(r) is None} == internal


def test_a_completed_draft_is_published_as_a_registered_version():
    (message,) = [p.data for r in RECORDED if r.type == "MetadataAdded" and (p := publish(r)) is not None]
    assert (message.number, message.semver, message.requester_subject) == (3, "1.0.2", "ann")
