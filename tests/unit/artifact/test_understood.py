"""This service reads what the registry publishes, and is read by those who consume it."""

from __future__ import annotations

import msgspec
import pytest

from services.approval.domain.noted import ARTIFACT_EVENTS, read
from services.artifact.domain import notes
from services.artifact.publish import PUBLIC
from services.local.contracts.example import example
from services.registry import publish as registry
from services.registry.domain import noted
from shared.events import encode

READ = {
    notes.REGISTERED: notes.VersionRegistered,
    notes.RETIRED: notes.VersionEnded,
    notes.REJECTED: notes.VersionEnded,
    notes.RECALLED: notes.VersionRecalled,
    notes.ROLLOUT_CHANGED: notes.RolloutChanged,
    notes.ROLLED_BACK: notes.RolloutChanged,
}


def plain(class_: type) -> dict:
    return msgspec.json.decode(encode(example(class_)))


@pytest.mark.parametrize("type_", READ)
def test_what_the_registry_publishes_is_understood(type_):
    told = msgspec.convert(plain(registry.PUBLIC[type_]), READ[type_])
    assert told.model_id
    if isinstance(told, notes.VersionRegistered):
        assert told.artifact
        assert told.artifact.files
    if isinstance(told, notes.RolloutChanged):
        assert told.numbers


@pytest.mark.parametrize("type_", PUBLIC)
def test_what_is_published_is_understood_by_registry_and_approval(type_):
    data = plain(PUBLIC[type_])
    if type_ in noted.READERS:
        assert msgspec.convert(data, noted.READERS[type_]).digest == data["digest"]
    if type_ in ARTIFACT_EVENTS:
        assert read(type_, data).number == data["number"]
