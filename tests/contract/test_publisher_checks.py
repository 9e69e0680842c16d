"""What the client checks before an upload is what the registry and the public schema accept."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from typing import Any

import msgspec
import pytest
from jsonschema import Draft202012Validator

from regista.errors import Refused
from regista.publishing.contract import check_message, check_publication
from regista.wire import limits
from regista.wire.mandatory import MANDATORY, missing_fields
from services.artifact.settings import ArtifactSettings
from services.kafka.topics import TOPICS, TRAINING, USAGE
from services.registry.domain.registration.mandatory import missing
from services.registry.trained_message import read
from shared.foundation.topics import dlq_of
from shared.http.routes import BODY_LIMIT
from shared.messaging.kafka import Subscription, by_publishers
from tools.contracts.__main__ import ROOT

PUBLIC = ROOT / "public" / "inbound"
SCHEMA = Draft202012Validator(json.loads((PUBLIC / "ModelTrained.v1.json").read_text("utf-8")))
WHOLE: dict[str, Any] = json.loads((PUBLIC / "examples" / "ModelTrained.v1.json").read_text("utf-8"))


def _set(path: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(data: Any) -> None:
        *parents, last = path.split(".")
        for name in parents:
            data = data[int(name)] if name.isdecimal() else data[name]
        data[last] = value

    return change


ONE_FILE = {"path": "x", "size": 1, "sha256": "0" * 64}
WRONG = [
    ("model", ""),
    ("model", "a b"),
    ("model", "x" * (limits.NAME + 1)),
    ("model", None),
    ("kind", "robot"),
    ("kind", 3),
    ("surprise", 1),
    ("draft", "yes"),
    ("draft", None),
    ("base", "²"),
    ("base", 0),
    ("tier", "huge"),
    ("tags", {"": "x"}),
    ("tags", {str(n): "" for n in range(limits.TAGS + 1)}),
    ("description", "x" * (limits.TEXT + 1)),
    ("version", {"claim": "1.2"}),
    ("version", {}),
    ("artifact.files", [ONE_FILE | {"path": str(n)} for n in range(limits.FILES + 1)]),
    ("artifact.files", [ONE_FILE | {"path": "x" * (limits.PATH_BYTES + 1)}]),
    ("artifact.files", [ONE_FILE | {"size": limits.EXACT + 1}]),
    ("artifact.digest", "sha256:x"),
    ("training.seed", "7"),
    ("training.seed", limits.EXACT + 1),
    ("training.trained_at", "2026-01-31"),
    ("training.trained_at", "2026-01-31T12:00:00"),
    ("training.features", ["f"] * (limits.FEATURES + 1)),
    ("training.metrics", [{"name": "auc", "value": None, "dataset_digest": "x", "dataset_name": "y"}]),
    ("training.metrics", [{"name": "auc", "value": 1}]),
    ("training.metrics", None),
    ("training.config", []),
    ("signature.outputs", [{"name": "y"}]),
    ("parents", [{"model": "m", "number": 0, "relation": "base_model"}]),
    ("parents", [{"model": "m", "number": 1, "relation": "cousin"}]),
]


@pytest.mark.parametrize(("path", "value"), WRONG, ids=lambda one: str(one)[:40])
def test_what_the_registry_would_dead_letter_is_refused_before_it_is_sent(path: str, value: Any) -> None:
    data = copy.deepcopy(WHOLE)
    _set(path, value)(data)
    with pytest.raises(ValueError):
        read(msgspec.json.encode(data))
    with pytest.raises(Refused) as refused:
        check_message(data)
    assert refused.value.problems[0].field.startswith(path)


def test_a_config_that_is_nested_too_deep_is_refused_before_it_is_sent() -> None:
    data, deep = copy.deepcopy(WHOLE), "x"
    for levels in range(1, 40):
        deep = {"a": deep}  # type: ignore[assignment]
        data["training"]["config"] = deep
        try:
            read(msgspec.json.encode(data))
        except ValueError:
            with pytest.raises(Refused, match=f"deeper than {limits.DEPTH} levels"):
                check_message(data)
            assert levels > limits.DEPTH
        else:
            check_message(data)


@pytest.mark.parametrize("name", ["ModelTrained.v1.json", "ModelTrained.v1.draft.json"])
def test_what_was_accepted_is_accepted_everywhere(name: str) -> None:
    data = json.loads((PUBLIC / "examples" / name).read_text("utf-8"))
    check_message(data)
    SCHEMA.validate(data)
    check_publication(data)


def _without(kind: str, field: str) -> dict[str, Any]:
    data = copy.deepcopy(WHOLE) | {"kind": kind}
    data["parents"] = [{"model": "team.base", "number": 2, "relation": "base_model"}]
    target: Any = data
    *parents, last = field.split(".")
    for name in parents:
        target = target[name]
    del target[last]
    if field == "artifact.digest":
        del data["artifact"]
    return data


CASES = [(kind, field) for kind in MANDATORY for field in sorted({f for m in MANDATORY.values() for f in m})]


@pytest.mark.parametrize(("kind", "field"), CASES)
def test_client_registry_and_schema_agree_on_what_is_mandatory(kind: str, field: str) -> None:
    data, mandatory = _without(kind, field), field in MANDATORY[kind]
    named = missing_fields(data)
    assert (field in named) == mandatory
    assert SCHEMA.is_valid(data) != mandatory
    assert missing_fields(data | {"draft": True}) == ()
    if field != "artifact.digest":  # the form of an artifact has a digest
        assert missing(kind, read(msgspec.json.encode(data)).metadata({})) == named


def test_a_message_without_a_kind_needs_what_every_kind_needs() -> None:
    data = _without("prompt", "training.trained_at")
    del data["kind"]
    assert not SCHEMA.is_valid(data)
    prompt = {"model": "m", "training": {"creator": "c", "trained_at": "2026-01-31T12:00:00Z"}}
    assert SCHEMA.is_valid(prompt | {"artifact": WHOLE["artifact"]})


def test_each_limit_is_one_number_in_code_settings_and_topics() -> None:
    settings = ArtifactSettings()
    assert settings.artifact_max_files == limits.FILES
    assert settings.artifact_max_bytes == limits.ARTIFACT_BYTES
    assert settings.artifact_max_file_bytes == limits.FILE_BYTES
    assert BODY_LIMIT == Subscription(TRAINING, "g", {}, by_publishers).max_bytes == limits.DATA_BYTES
    for topic in (TRAINING, USAGE, dlq_of(TRAINING)):
        assert TOPICS[topic]["max.message.bytes"] == str(limits.RECORD_BYTES)
    with pytest.raises(ValueError, match="less than or equal to 2000"):
        ArtifactSettings(artifact_max_files=limits.FILES + 1)
