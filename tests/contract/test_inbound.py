"""Messages of publishers stay readable: topics are never deleted, and a restore reads them again."""

from __future__ import annotations

import json
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from pydantic import BaseModel

from regista.wire.cloudevents import CloudEvent, from_kafka
from regista.wire.dsse import key_id_of, verify
from services.cleanup.domain.retention_commands import RecordUsage
from services.cleanup.inbound import ModelUsed
from services.registry.inbound import ModelTrained
from services.registry.trained_message import read
from tools.contracts.__main__ import ROOT
from tools.contracts.documents import INBOUND

INBOUND_FILES = ROOT / "public" / "inbound"
EXAMPLES = sorted((INBOUND_FILES / "examples").glob("*.json"))


def _type_of(path: Path) -> str:
    """`ModelTrained.v1.draft.json` is a `regista.ModelTrained.v1`."""
    return ".".join(["regista", *path.name.split(".")[:2]])


def _message(path: Path) -> tuple[CloudEvent, str, bytes]:
    """Return the golden message of an example as received, its Kafka key, and its publisher's public key."""
    kept = json.loads((INBOUND_FILES / "messages" / path.name).read_text("utf-8"))
    headers = [(name, value.encode()) for name, value in kept["headers"].items()]
    return from_kafka(kept["value"].encode(), headers), kept["key"], bytes.fromhex(kept["public_key"])


def _json(value: Any) -> Any:
    return msgspec.json.decode(msgspec.json.encode(value))


def test_every_inbound_type_has_an_example_with_every_field() -> None:
    def unset(models: list[BaseModel]) -> list[str]:
        """Return the fields that none of the models has: the parents of an example are of two kinds."""
        given = {name for model in models for name in model.model_fields_set}
        inner = [
            [one for model in models for one in _listed(getattr(model, name)) if isinstance(one, BaseModel)]
            for name in given
        ]
        return sorted(set(type(models[0]).model_fields) - given) + [
            name for some in inner if some for name in unset(some)
        ]

    for type_, (_, model) in INBOUND.items():
        text = (INBOUND_FILES / "examples" / f"{type_.removeprefix('regista.')}.json").read_text("utf-8")
        assert unset([model.model_validate_json(text)]) == []


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_a_message_once_signed_still_verifies_and_holds_its_example(path: Path) -> None:
    event, key, public = _message(path)
    verify(event, public)
    assert (event.type, key, event.subject, key_id_of(event)) == (
        _type_of(path),
        "fraud.cards",
        "fraud.cards",
        "golden",
    )
    assert json.loads(event.data) == json.loads(path.read_text("utf-8"))


@pytest.mark.parametrize(
    "name",
    [
        "ModelTrained.v1.json",
        "ModelTrained.v1.first.json",
        "ModelTrained.v1.second.json",
        "ModelTrained.v1.draft.json",
    ],
)
def test_a_trained_message_becomes_registrys_metadata_without_loss(name: str) -> None:
    event, _, _ = _message(INBOUND_FILES / "examples" / name)
    ModelTrained.model_validate_json(event.data)
    parsed = _json(read(event.data))
    sent = json.loads(event.data)
    assert _only(parsed, sent) == sent


def _only(parsed: Any, sent: Any) -> Any:
    """Return the fields of `parsed` that `sent` names, so that defaults need not be written out."""
    match sent:
        case dict():
            return {name: _only(parsed[name], value) for name, value in sent.items()}
        case list():
            return [_only(one, value) for one, value in zip(parsed, sent, strict=True)]
    return parsed


def test_a_usage_message_becomes_cleanups_command() -> None:
    event, _, _ = _message(INBOUND_FILES / "examples" / "ModelUsed.v1.json")
    sent = ModelUsed.model_validate_json(event.data, strict=True)
    model_id = "0199a000-0000-7000-8000-000000000001"
    assert sent.model_id == model_id
    began, ended = (
        datetime.fromisoformat("2026-03-01T12:00:00Z"),
        datetime.fromisoformat("2026-03-01T12:01:00.500Z"),
    )
    assert sent.to_domain(model_id) == RecordUsage(model_id, 3, 10**12, began, ended, "production", "eu-1")
