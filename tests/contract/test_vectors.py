"""The test vectors for other languages hold for the code, from key file to verdict."""

from __future__ import annotations

import base64
import json
from dataclasses import dataclass
from typing import Any

import pytest

from regista.wire.cloudevents import NotACloudEvent, from_kafka
from regista.wire.digests import FileEntry, manifest_digest
from regista.wire.dsse import BadSignature, key_id_of, pae, verify
from regista.wire.keys import read_signing_key
from shared.identity.public_keys import Signer
from shared.messaging.authenticity import Refused, judge
from shared.messaging.kafka import Handler, Received, Subscription, by_publishers
from tools.contracts.__main__ import ROOT, problems_of
from tools.contracts.documents import Document

VECTORS = ROOT / "vectors"


def _read(name: str) -> Any:
    return json.loads((VECTORS / name).read_text("utf-8"))


EVENTS = _read("events.json")
PUBLIC = bytes.fromhex(EVENTS["public_key"])


@dataclass
class Record:
    """A record as the consumer gets it."""

    value: bytes
    headers: list[tuple[str, bytes]]
    key: bytes
    topic: str = "regista.training.v1"
    partition: int = 0
    offset: int = 0
    timestamp: int = 0
    timestamp_type: int = 0


def _record(case: dict[str, Any]) -> Record:
    headers = [(name, value.encode()) for name, value in case["headers"].items()]
    return Record(case["value"].encode(), headers, case["key"].encode())


async def _nothing(_: Received) -> list[Any]:
    return []


@pytest.mark.parametrize("case", EVENTS["cases"], ids=lambda case: case["name"])
def test_an_event_has_the_verdict_of_its_vector(case: dict[str, Any]) -> None:
    record = _record(case)
    problem = ""
    try:
        event = from_kafka(record.value, record.headers, record.key)
        assert key_id_of(event) == "Vectors000000001"
        verify(event, PUBLIC)
    except (NotACloudEvent, BadSignature) as error:
        problem = error.reason
    assert problem.startswith(case["problem"])
    assert bool(problem) == bool(case["problem"])


@pytest.mark.parametrize("case", EVENTS["cases"], ids=lambda case: case["name"])
def test_a_service_accepts_what_the_vector_accepts(case: dict[str, Any]) -> None:
    subscription = Subscription(
        "regista.training.v1",
        "g",
        {"regista.ModelTrained.v1": Handler(_nothing)},
        by_publishers,
        strict=True,
    )
    signer = Signer("publisher:vectors", "publisher", PUBLIC)
    verdict = judge(_record(case), subscription, lambda _: signer)  # type: ignore[arg-type]
    if case["problem"]:
        assert isinstance(verdict, Refused)
        assert verdict.reason.startswith(case["problem"])
    else:
        assert isinstance(verdict, Received), verdict
        assert verdict.data == json.loads(case["value"])


@pytest.mark.parametrize("case", _read("artifacts.json")["cases"], ids=lambda case: case["name"])
def test_a_list_of_files_has_the_digest_of_its_vector(case: dict[str, Any]) -> None:
    assert manifest_digest(FileEntry(**file) for file in case["files"]) == case["digest"]


def test_a_key_file_signs_as_its_vector() -> None:
    found = _read("keys.json")
    key, signed = read_signing_key(json.dumps(found["file"])), found["signed"]
    assert key.public.hex() == found["public_key"]
    assert pae(signed["payload_type"], signed["body"].encode()) == signed["pae"].encode()
    assert base64.b64encode(key.sign(signed["pae"].encode())).decode() == signed["signature"]


def test_a_vector_never_changes() -> None:
    changed = json.loads((VECTORS / "events.json").read_text("utf-8"))
    changed["cases"][0]["material"] = "00"
    assert problems_of(Document("vectors/events.json", changed)) == [
        "vectors/events.json: the vector 'all attributes' changed"
    ]
