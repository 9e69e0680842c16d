"""The files under schemas/ match the code, and no published or stored form ever breaks."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
from jsonschema import Draft202012Validator

from shared.deciding.access import ACCESS_EVENTS, RoleGranted
from shared.deciding.events import Actor, Envelope, EventTypes, Noted, Recorded, Source, encode
from shared.deciding.service import Service
from shared.messaging.relay import to_cloudevent
from tools.contracts.__main__ import ROOT, problems_of, text_of
from tools.contracts.documents import OUTBOUND, SERVICES, Document, everything

DOCUMENTS = list(everything())
STORED = sorted((ROOT / "stored").glob("*/*.json"))
BY_NAME = {service.name: service for service in SERVICES}
EVENTS = {"kernel": EventTypes(())} | {service.name: service.events for service in SERVICES}


def _id(value: Any) -> str:
    return value.path if isinstance(value, Document) else str(value.relative_to(ROOT))


@pytest.mark.parametrize("document", DOCUMENTS, ids=_id)
def test_a_document_matches_the_code(document: Document) -> None:
    problems = problems_of(document)
    assert not problems, f"publish a new version beside the old one: {problems}"
    path = ROOT / document.path
    assert path.exists(), "run `python -m tools.contracts`"
    assert path.read_text("utf-8") == text_of(document), "run `python -m tools.contracts`"


@pytest.mark.parametrize("path", STORED, ids=_id)
def test_every_event_ever_stored_is_still_read(path: Path) -> None:
    events = EVENTS[path.parent.name]
    type_, _, schema = path.stem.rpartition(".v")
    event = events.decode(type_, int(schema), path.read_bytes())
    if int(schema) == events.schema_of(event):
        assert json.loads(encode(event)) == json.loads(path.read_bytes())


def test_an_envelope_ever_stored_is_still_read_and_would_be_stored_byte_for_byte() -> None:
    stored = (ROOT / "stored" / "kernel" / "envelope.v1.bytes").read_bytes()
    recorded = ACCESS_EVENTS.recorded("access", stored)
    assert recorded == Recorded(
        "access",
        "access-anna",
        3,
        UUID("01890a5d-ac96-774b-bcce-b302099a8057"),
        "RoleGranted",
        1,
        datetime(2026, 1, 31, 12, 0, 0, 123456, tzinfo=UTC),
        Actor("otto", "regista", "api-key:k1", "pipeline"),
        RoleGranted("anna", "engineer", "fraud", by="otto"),
        stored,
        datetime(2026, 1, 31, 11, 59, tzinfo=UTC),
        "new colleague — «ä»",
        "correlation",
        "causation",
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
    )
    assert recorded.leaf == "0d0270ce37b8b6de52dafe5249513df64b7d6f5a3ddfa825635d117bdb5d2d07"
    again = Envelope(
        recorded.event_id,
        recorded.type,
        recorded.schema,
        recorded.stream,
        recorded.revision,
        recorded.recorded_at,
        recorded.actor,
        msgspec.json.decode(stored, type=Envelope).data,
        recorded.occurred_at,
        recorded.reason,
        recorded.correlation_id,
        recorded.causation_id,
        recorded.trace,
    )
    assert encode(again) == stored


@pytest.mark.parametrize("path", sorted((ROOT / "public").glob("*/examples/*.json")), ids=_id)
def test_an_example_fits_its_schema(path: Path) -> None:
    type_and_version = path.name.split(".")[:2]
    schema = json.loads((path.parents[1] / ".".join([*type_and_version, "json"])).read_text("utf-8"))
    Draft202012Validator.check_schema(schema)
    Draft202012Validator(schema).validate(json.loads(path.read_text("utf-8")))


def test_no_published_schema_disappears() -> None:
    written = {document.path for document in DOCUMENTS}
    sent = {
        str(path.relative_to(ROOT))
        for folder in ("examples", "messages")
        for path in (ROOT / "public" / "inbound" / folder).glob("*.json")
    }
    there = {
        str(path.relative_to(ROOT)) for path in (ROOT / "public").rglob("*.json")
    } - sent  # what publishers sent stays as it was
    gone = sorted(there - written)
    assert not gone, "a published version stays readable as long as a reader may use it"


@pytest.mark.parametrize("path", [path for path in STORED if path.parent.name in BY_NAME], ids=_id)
def test_every_published_event_has_a_declared_type(path: Path) -> None:
    service = BY_NAME[path.parent.name]
    type_, _, schema = path.stem.rpartition(".v")
    category = service.folds[0].category
    envelope = Envelope(
        UUID(int=7),
        type_,
        int(schema),
        f"{category}-x",
        1,
        datetime(2026, 1, 1, tzinfo=UTC),
        Actor("s"),
        msgspec.Raw(path.read_bytes()),
    )
    message = to_cloudevent(service, service.events.recorded(service.name, encode(envelope)))
    if message is None:
        return
    name = message.type.removeprefix(f"regista.{service.name}.")
    assert message.type in OUTBOUND[service.name]
    Draft202012Validator(
        json.loads((ROOT / "public" / service.name / f"{name}.json").read_text("utf-8"))
    ).validate(json.loads(message.data))


@pytest.mark.parametrize("service", SERVICES, ids=lambda service: str(service.name))
def test_a_note_is_never_published(service: Service) -> None:
    """The relay does not even read notes (shared/log/eventlog.py, READ_PUBLISHABLE)."""
    source = Source("elsewhere", "model-1", 1, "regista.elsewhere.Happened.v1", "1")
    note = Noted(source, "", {})
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    recorded = Recorded(
        service.name, "model-1", 1, UUID(int=1), "Noted", 1, moment, Actor("service:elsewhere"), note, b"{}"
    )
    assert service.publish(recorded) is None


def test_the_documentation_lists_each_public_type_with_its_schema() -> None:
    page = (Path(__file__).parents[2] / "docs" / "events.md").read_text("utf-8")
    listed = re.findall(
        r"^\| \[(\w+)\]\(\.\./schemas/public/(\w+)/(\w+)\.v1\.json\) \| .+ \|$", page, re.MULTILINE
    )
    published = [(name.split(".")[2], service) for service, types in OUTBOUND.items() for name in types]
    assert [(name, service) for name, service, file in listed if name == file] == published
