"""Approval reads what registry publishes, by the names that registry gives the fields."""

from __future__ import annotations

import msgspec
import pytest

from services.approval.domain.noted import MODEL_EVENTS, VERSION_EVENTS, read
from services.registry import publish as registry
from shared.deciding.events import encode
from tools.contracts.example import example

OPTIONAL = {"model", "kind", "tier", "tags", "champion"}


@pytest.mark.parametrize("type_", [*MODEL_EVENTS, *VERSION_EVENTS])
def test_every_field_that_is_read_is_published_or_may_be_absent(type_):
    published = msgspec.json.decode(encode(example(registry.PUBLIC[type_])))
    event = read(type_, published)
    assert {f for f in event.__dataclass_fields__ if f not in published} <= OPTIONAL
