"""The page for other languages has the numbers and the rules of the code."""

from __future__ import annotations

import json
import re
from pathlib import Path

from jsonschema import Draft202012Validator

from regista.wire import cloudevents, limits
from regista.wire.dsse import PAYLOAD_TYPE, pae
from regista.wire.mandatory import MANDATORY
from shared.messaging.authenticity import LONGEST_ID
from tools.contracts.__main__ import ROOT

PAGE = (ROOT.parent / "docs" / "from-any-language.md").read_text("utf-8")
VECTORS = ROOT / "vectors"


def _numbers(start: str) -> list[int]:
    line = next(line for line in PAGE.splitlines() if line.startswith(f"| {start}"))
    return [int(number.replace(",", "")) for number in re.findall(r"\d[\d,]*", line.split("|")[2])]


def test_the_page_has_the_limits_of_the_code() -> None:
    assert _numbers("data of a message") == [limits.DATA_BYTES]
    assert _numbers("record of Kafka") == [limits.RECORD_BYTES]
    assert _numbers("files of an artifact") == [limits.FILES]
    assert _numbers("path of a file") == [limits.PATH_BYTES, limits.PART_BYTES]
    assert _numbers("file ") == [limits.FILE_BYTES]
    assert _numbers("artifact ") == [limits.ARTIFACT_BYTES]
    assert _numbers("names;") == [limits.NAME, limits.LABEL, limits.TEXT]
    assert _numbers("tags,") == [limits.TAGS, limits.METRICS, limits.PARENTS]
    assert _numbers("features,") == [limits.FEATURES, limits.OUTPUTS]
    assert _numbers("integers") == [limits.EXACT]
    assert _numbers("levels of") == [limits.DEPTH]
    assert _numbers("headers;") == [cloudevents.MAX_HEADERS, cloudevents.MAX_ATTRIBUTE]
    assert _numbers("`ce_id`") == [LONGEST_ID]


def test_the_page_names_what_is_mandatory() -> None:
    model = next(line for line in PAGE.splitlines() if line.startswith("| `model`, `embedding`"))
    assert MANDATORY["model"] == MANDATORY["embedding"]
    for field in MANDATORY["model"]:
        assert field.removesuffix(".digest") in model or field == "signature.outputs"
    prompt = next(line for line in PAGE.splitlines() if line.startswith("| `prompt`"))
    assert all(field.removesuffix(".digest") in prompt for field in MANDATORY["prompt"])


def test_the_text_before_the_material_is_that_of_dsse() -> None:
    before = re.search(r"`(DSSEv1 [^`]+)`", PAGE)
    assert before is not None
    assert pae(PAYLOAD_TYPE, bytes(32)) == before[1].encode() + bytes(32)


def test_the_limits_are_nowhere_else_another_number() -> None:
    operating = (ROOT.parent / "docs" / "operating.md").read_text("utf-8")
    assert "| data of a publisher's message | 1 MiB (dead letter) |" in operating
    assert "`ARTIFACT_MAX_FILES` | 50 GiB, 200 GiB, 2,000 |" in operating


def _headers_schema(name: str) -> Draft202012Validator:
    document = json.loads((ROOT / "public" / "asyncapi.json").read_text("utf-8"))
    return Draft202012Validator(document["components"]["schemas"][name])


def test_the_headers_of_each_valid_vector_fit_the_asyncapi_document() -> None:
    schema = _headers_schema("publisherHeaders")
    for case in json.loads((VECTORS / "events.json").read_text("utf-8"))["cases"]:
        assert case["problem"] or schema.is_valid(case["headers"]), case["name"]


def test_the_headers_of_each_message_that_was_kept_fit_the_asyncapi_document() -> None:
    schema = _headers_schema("publisherHeaders")
    messages: list[Path] = sorted((ROOT / "public" / "inbound" / "messages").glob("*.json"))
    for message in messages:
        assert schema.is_valid(json.loads(message.read_text("utf-8"))["headers"]), message.name
