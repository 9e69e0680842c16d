"""One grammar of names: new ones start with a letter or digit, those that exist keep working."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from regista.wire.names import may_be_new, may_exist
from services.cleanup.inbound import ModelUsed
from services.registry.domain.naming.description import DescribeModel, RegisterModel
from services.registry.domain.naming.name import NAME, NameClaimed, check_name
from services.registry.domain.registration.commands import RegisterVersion
from shared.deciding.decider import Unprocessable
from tests.unit.registry.given import MODEL_ID, Story, metadata, names

GOOD = ("churn", "crm.churn", "0.x", "a-b_c.d--", "team.9")
OLD = ("--json", "_churn", "-x", "crm._churn", "_crm.churn", "crm.-")
NEVER = ("", ".", "a.", ".a", "a..b", "a b", "ü", "a\n", "a/b", "x" * 201)


@pytest.mark.parametrize("name", GOOD)
def test_a_good_name_may_be_new_and_its_use_is_counted(name):
    check_name(name)
    assert used(name).model == name


@pytest.mark.parametrize("name", OLD)
def test_a_name_that_starts_with_a_mark_is_refused_when_new_and_its_use_is_counted_when_old(name):
    with pytest.raises(Unprocessable, match="a letter or digit first"):
        check_name(name)
    assert (may_be_new(name), may_exist(name)) == (False, True)
    assert used(name).model == name


@pytest.mark.parametrize("name", NEVER)
def test_what_is_no_name_is_refused_everywhere(name):
    assert not may_exist(name)
    with pytest.raises(Unprocessable):
        check_name(name)
    with pytest.raises(ValidationError):
        used(name)


def used(name: str) -> ModelUsed:
    window = {"window_start": "2026-01-01T00:00:00Z", "window_end": "2026-01-01T01:00:00Z"}
    return ModelUsed.model_validate(
        {"model": name, "number": 1, "count": 1, "environment": "production", **window}
    )


def test_a_model_with_an_old_name_gets_versions_and_may_take_its_old_name_again():
    story = Story()
    story.register()
    story.append(NameClaimed("team._old", MODEL_ID), "name-team._old")
    assert names(story.when(RegisterVersion(MODEL_ID, "team._old", metadata(2), new_model=False))) == [
        "VersionRegistered"
    ]
    assert names(story.when(DescribeModel(MODEL_ID, model="team._old"))) == ["ModelRenamed"]
    with pytest.raises(Unprocessable, match="invalid_name"):
        story.when(DescribeModel(MODEL_ID, model="team._new"))
    assert NAME.category == "name"


def test_a_new_model_needs_a_new_name():
    with pytest.raises(Unprocessable, match="invalid_name"):
        Story().when(RegisterModel(MODEL_ID, "--json", "model", ""))
