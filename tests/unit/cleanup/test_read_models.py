"""The rows of cleanup give the stages that its fold gives."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from services.cleanup.due_work import propose
from services.cleanup.projections import PROPOSE, project
from services.cleanup.tables import VERSIONS
from shared.deciding.changes import Patch, Put
from shared.deciding.events import Actor, Noted, Recorded
from shared.log.due_work import DueRow
from tests.unit.cleanup.story import Story, at


def stages_in_rows(story: Story) -> dict[int, str]:
    stages: dict[int, str] = {}
    for revision, event in enumerate(story.events, 1):
        id_, actor = UUID(int=revision), Actor("service:cleanup")
        recorded = Recorded("cleanup", "retention", revision, id_, "Noted", 1, at(0), actor, event, b"")
        for change in project(recorded) if isinstance(event, Noted) else ():
            if isinstance(change, Put) and change.table is VERSIONS:
                stages[change.row["number"]] = change.row["stage"]
            if isinstance(change, Patch) and change.table is VERSIONS:
                stages[change.key["number"]] = change.columns["stage"]
    return stages


def retired_in_rows(story: Story) -> set[int]:
    found: set[int] = set()
    for revision, event in enumerate(story.events, 1):
        id_, actor = UUID(int=revision), Actor("service:cleanup")
        recorded = Recorded("cleanup", "retention", revision, id_, "Noted", 1, at(0), actor, event, b"")
        for change in project(recorded) if isinstance(event, Noted) else ():
            if isinstance(change, Patch) and change.table is VERSIONS and change.columns.get("retired"):
                found.add(change.key["number"])
    return found


def serving(number: int, **more: Any) -> dict[str, Any]:
    entry = {"number": number, "role": "champion", "percent": 100}
    return {"environment": "staging", "entries": [entry], "previous": [], **more}


@pytest.mark.parametrize(("production", "stage"), [(True, "Production"), (False, "Validated")])
def test_only_a_promotion_to_a_production_environment_shows_production(production: bool, stage: str) -> None:
    story = Story().register(1)
    story.note("VersionValidated", number=1)
    story.note("VersionPromoted", number=1, environment="staging", promotion_id="p", production=production)
    assert stages_in_rows(story) == {1: stage} == {1: story.state.versions[1].stage}


@pytest.mark.parametrize(("production", "stage"), [(True, "Production"), (False, "Archived")])
def test_only_a_rollback_in_a_production_environment_shows_production(production: bool, stage: str) -> None:
    story = Story().register(1).register(2)
    story.note("VersionArchived", number=1)
    story.note("RolledBack", from_number=2, to_number=1, production=production, **serving(1))
    assert stages_in_rows(story)[1] == stage == story.state.versions[1].stage


@pytest.mark.parametrize("stage", ["Draft", "Rejected", "Archived"])
def test_a_retired_version_keeps_the_stage_that_the_registry_names(stage: str) -> None:
    story = Story().register(1)
    story.note("VersionRetired", number=1, stage=stage)
    version = story.state.versions[1]
    assert (version.stage, version.retired) == (stage, True)
    assert (stages_in_rows(story)[1], retired_in_rows(story)) == (stage, {1})


def test_a_retirement_of_before_messages_named_the_stage_is_archived() -> None:
    story = Story().register(1)
    story.note("VersionRetired", number=1)
    assert story.state.versions[1].stage == "Archived" == stages_in_rows(story)[1]


def test_a_reinstated_version_is_in_the_stage_that_the_registry_names() -> None:
    story = Story().register(1)
    story.note("VersionArchived", number=1)
    story.note("VersionRecalled", number=1)
    story.note("VersionReinstated", number=1, stage="Validated")
    version = story.state.versions[1]
    assert (version.stage, version.recalled) == ("Validated", False)
    assert stages_in_rows(story)[1] == "Validated"


def changes(story: Story) -> list[Any]:
    """Return all changes of rows of the story."""
    found: list[Any] = []
    for revision, event in enumerate(story.events, 1):
        id_, actor, type_ = UUID(int=revision), Actor("service:cleanup"), type(event).__name__
        recorded = Recorded("cleanup", "retention", revision, id_, type_, 1, at(0), actor, event, b"")
        found += project(recorded)
    return found


def retired() -> Story:
    story = Story().policy().register(1)
    story.use(1, 10)
    story.sweep(200)
    story.end_grace(1, 250)
    story.note("VersionRetired", 260, number=1, rule="unused", sweep_id="s1")
    return story


def test_every_change_of_a_row_has_the_columns_of_its_table() -> None:
    for change in changes(retired()):
        columns = change.row if isinstance(change, Put) else change.key
        if isinstance(change, Patch):
            columns = columns | change.columns
        assert columns.keys() <= {column.name for column in change.table.columns}


async def test_the_end_of_a_grace_period_proposes_what_the_cleanup_run_marked() -> None:
    (data,) = (
        c.row["data"] for c in changes(retired()) if isinstance(c, Put) and c.row.get("kind") == PROPOSE
    )
    (submission,) = await propose(DueRow("cleanup", PROPOSE, "m1@1", at(250), data))
    assert (submission.command.number, submission.command.sweep_id) == (1, "s1")
