"""This service reads what the registry publishes, and is read by those who consume it."""

from __future__ import annotations

import msgspec
import pytest

from services.approval.domain.noted import ARTIFACT_EVENTS, read
from services.artifact.domain import noted
from services.artifact.publish import PUBLIC
from services.registry import publish as registry
from services.registry.domain.noted import READERS
from shared.deciding.events import encode
from tools.contracts.example import example

READ = {
    noted.REGISTERED: noted.VersionRegistered,
    noted.DRAFT_REGISTERED: noted.VersionRegistered,
    noted.RETIRED: noted.VersionEnded,
    noted.REJECTED: noted.VersionEnded,
    noted.RECALLED: noted.VersionRecalled,
    noted.ROLLOUT_CHANGED: noted.RolloutChanged,
    noted.ROLLED_BACK: noted.RolloutChanged,
    noted.PROMOTION_REQUESTED: noted.PromotionRequested,
}


def plain(class_: type) -> dict:
    return msgspec.json.decode(encode(example(class_)))


@pytest.mark.parametrize("type_", READ)
def test_every_event_that_registry_publishes_is_readable(type_):
    event = msgspec.convert(plain(registry.PUBLIC[type_]), READ[type_])
    assert event.model_id
    if isinstance(event, noted.VersionRegistered):
        assert event.artifact
        assert event.artifact.files
    if isinstance(event, noted.RolloutChanged):
        assert event.numbers


@pytest.mark.parametrize("type_", PUBLIC)
def test_registry_and_approval_read_every_published_event(type_):
    data = plain(PUBLIC[type_])
    if type_ in READERS:
        assert msgspec.convert(data, READERS[type_]).digest == data["digest"]
    if type_ in ARTIFACT_EVENTS:
        assert read(type_, data).number == data["number"]
