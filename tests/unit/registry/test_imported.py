"""Versions of another registry: what it states stays a claim, and one version there is one version here."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from services.registry.domain.model.events import VersionRegistered
from services.registry.domain.model.imported import ImportedFrom
from services.registry.domain.model.metadata import Metadata, Training, identity
from services.registry.domain.promotion.promotion import RequestPromotion
from services.registry.domain.registration.commands import AddMetadata, RegisterVersion
from shared.deciding.decider import RuleBroken
from tests.unit.registry.given import MODEL_ID, Story, metadata, names

SERVER = "https://mlflow.example.com"


def imported(number: str = "7", document: Metadata | None = None, **claims: Any) -> Metadata:
    """A document that an importer found as that number."""
    there = ImportedFrom("mlflow", SERVER, "churn", number, **claims)
    return replace(document or metadata(), imported_from=there)


def importing(document: Metadata, **more: Any) -> RegisterVersion:
    return RegisterVersion(MODEL_ID, "team.churn", document, **more)


def test_a_stage_of_another_registry_skips_no_gate() -> None:
    story = Story()
    registered = story.when(importing(imported(stage="Production"), new_model=True))[-1]
    assert isinstance(registered, VersionRegistered)
    assert registered.metadata.imported_from == ImportedFrom(
        "mlflow", SERVER, "churn", "7", stage="Production"
    )
    assert story.version(1).stage == "Staging"
    with pytest.raises(RuleBroken) as refused:
        story.when(RequestPromotion(MODEL_ID, 1, "production", "p1", "eva"))
    assert refused.value.code == "not_validated"


def test_one_version_there_is_one_version_here_even_when_its_metadata_changed_there() -> None:
    story = Story()
    story.register(imported())
    changed = imported(document=metadata(creator="someone else"), stage="Archived")
    assert story.when(importing(changed)) == []


def test_a_draft_answers_an_import_that_would_be_complete() -> None:
    story = Story()
    story.when(importing(imported(document=Metadata()), draft=True, new_model=True))
    assert story.when(importing(imported())) == []


def test_two_versions_there_with_the_same_bytes_and_metadata_are_two_versions_here() -> None:
    story = Story()
    assert story.register(imported("1")) == 1
    assert story.register(imported("2")) == 2


def test_a_version_that_was_made_here_is_not_taken_for_an_import_of_the_same_bytes() -> None:
    story = Story()
    story.register()
    assert story.register(imported()) == 2
    assert story.when(importing(metadata())) == []


def test_after_wrong_bytes_a_version_is_imported_again() -> None:
    story = Story()
    story.register(imported())
    story.note_artifact(1, "regista.artifact.ArtifactMismatched.v1", detail="other bytes")
    (registered,) = story.when(importing(imported()))
    assert registered.number == 2
    assert story.when(importing(imported())) == []


def test_a_draft_keeps_its_claims_when_it_is_completed() -> None:
    story = Story()
    draft = imported(document=Metadata(training=Training(creator="ci")), created_by="alice")
    story.when(importing(draft, draft=True, new_model=True))
    (added,) = story.when(AddMetadata(MODEL_ID, 1, metadata()))
    assert names([added]) == ["MetadataAdded"]
    assert (added.semver, added.metadata.imported_from.created_by) == ("1.0.0", "alice")
    assert story.when(importing(imported())) == []


def test_of_an_import_only_its_name_there_is_part_of_the_identity() -> None:
    assert identity(imported("7")) == identity(imported("7", stage="Production", tags={"a": "b"}))
    assert len({identity(one) for one in (imported("7"), imported("8"), metadata())}) == 3
