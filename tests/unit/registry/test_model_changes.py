"""PATCH of a model is a JSON merge patch."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from services.registry.shapes.models import ModelChanges


@pytest.mark.parametrize(
    ("body", "tags", "description"),
    [
        ({}, None, None),
        ({"tags": {"a": "1", "b": None}}, None, None),
        ({"tags": None}, {}, None),
        ({"description": None}, None, ""),
        ({"description": ""}, None, ""),
        ({"description": "x"}, None, "x"),
    ],
)
def test_null_removes_and_what_is_absent_stays(body, tags, description):
    changes = ModelChanges.model_validate(body)
    assert (changes.new_tags(), changes.new_description()) == (tags, description)


@pytest.mark.parametrize("name", ["name", "owner", "tier"])
def test_what_every_model_has_is_not_removed(name):
    with pytest.raises(ValidationError, match="every model has one"):
        ModelChanges.model_validate({name: None})
