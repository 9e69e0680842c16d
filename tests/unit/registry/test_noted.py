"""A note keeps what the registry reads of another service's event, and nothing else."""

from __future__ import annotations

from dataclasses import fields

import pytest

from services.registry.domain import noted
from tests.unit.registry.given import Story, a_note, metadata, names
from tests.unit.registry.serving import retire


@pytest.mark.parametrize("type_", noted.READERS)
def test_a_note_keeps_the_fields_that_are_read(type_):
    names_ = {field.name for field in fields(noted.READERS[type_])}
    event = dict.fromkeys(sorted(names_), 1) | {"model": "team.churn", "evidence_digest": "sha256:x"}
    assert noted.kept(type_, event) == dict.fromkeys(sorted(names_), 1)


def test_a_report_of_a_type_that_the_registry_does_not_read_changes_nothing():
    assert noted.read(a_note("artifact", "artifact-x", 1, "regista.artifact.SomethingNew.v1", {})) is None


def test_a_verdict_about_a_retired_version_leaves_no_note():
    story = Story()
    story.register(metadata(1))
    story.note_artifact(1, noted.ARTIFACT_MISMATCHED)
    assert names(story.when(retire(1))) == ["Noted", "VersionRetired"]
    assert story.note_gates(1) == []
