"""References to versions in queries, before anything is looked up."""

from __future__ import annotations

from typing import Any, cast

import pytest
from pydantic import ValidationError

from services.registry.api.calls import number_of
from services.registry.look_ups import ModelRef
from services.registry.shapes.versions import DiffQuery
from shared.deciding.access import AccessState
from shared.deciding.decider import NotFound
from shared.deciding.events import Actor
from shared.http.routes import Call

MODEL = ModelRef("m", "team")


def call(**path: str) -> Call:
    return Call(cast("Any", None), cast("Any", None), cast("Any", None), Actor("eva"), AccessState(), path)


@pytest.mark.parametrize(("old", "new"), [("", "1"), ("1", ""), (" ", "1"), ("1", "\t")])
def test_a_diff_needs_two_references(old, new):
    with pytest.raises(ValidationError):
        DiffQuery.model_validate({"from": old, "to": new})


async def test_an_empty_reference_names_no_version():
    with pytest.raises(NotFound, match="names no version"):
        await number_of(call(model="churn"), MODEL, "")


async def test_without_a_reference_the_path_names_the_version():
    assert await number_of(call(model="churn", version="3"), MODEL) == 3
