"""Cursors, events in JSON, and their types."""

from __future__ import annotations

import base64
import contextlib
import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.cloudevents import CloudEvent, NotACloudEvent
from regista.wire.dsse import generate_signing_key, sign, verify
from regista.wire.event_feed import (
    SERVICES,
    BadCursor,
    cursor_of,
    from_json,
    is_behind,
    merged,
    position_of,
    to_json,
)
from regista.wire.event_types import EVENT_TYPES, problem_of_type
from tools.contracts.documents import OUTBOUND

positions = st.dictionaries(
    st.tuples(st.sampled_from(SERVICES), st.integers(0, 8)), st.integers(0, 2**63 - 1), max_size=20
)


@given(positions)
def test_a_cursor_is_the_position_it_was_made_of(position: dict[tuple[str, int], int]) -> None:
    found = position_of(cursor_of(position))
    assert not is_behind(found, position)
    assert not is_behind(position, found)


@given(st.text(max_size=80))
def test_any_other_text_is_no_cursor(text: str) -> None:
    with contextlib.suppress(BadCursor):
        assert position_of(text) == position_of(cursor_of(position_of(text)))


@pytest.mark.parametrize("content", [{"registry": [-1]}, {"access": [1]}, {"registry": [2**63]}, ["x"]])
def test_a_cursor_with_positions_that_cannot_be_is_refused(content: object) -> None:
    with pytest.raises(BadCursor):
        position_of(base64.urlsafe_b64encode(json.dumps(content).encode()).decode().rstrip("="))


@given(positions, positions)
def test_a_merged_position_is_behind_neither(
    first: dict[tuple[str, int], int], second: dict[tuple[str, int], int]
) -> None:
    both = merged(first, second)
    assert not is_behind(both, first)
    assert not is_behind(both, second)


def signed(data: bytes) -> tuple[CloudEvent, bytes]:
    key = generate_signing_key("service:registry")
    event = CloudEvent(
        "1", "/regista/registry", "regista.registry.AliasSet.v1", "model-1", "2026-03-01T12:00:00Z", data
    )
    return sign(event, key), key.public


@pytest.mark.parametrize(
    "data", [b'{"a":1.0}', b'{"b":"\xe2\x80\xa8 line","a":[1,2e0]}', '{"t":"ü\\n"}'.encode(), b"{}"]
)
def test_json_keeps_the_bytes_that_were_signed(data: bytes) -> None:
    event, public = signed(data)
    line = to_json(event)
    assert b"\n" not in line
    assert json.loads(line)["specversion"] == "1.0"
    assert line.endswith(b'"data":' + data + b"}")
    found = from_json(line)
    assert found == event
    verify(found, public)


@pytest.mark.parametrize("line", [b"", b"[]", b'{"specversion":"1.0"}', b'{"id":1,"data":{}}', b"{" * 9000])
def test_what_is_no_event_in_json_is_refused(line: bytes) -> None:
    with pytest.raises(NotACloudEvent):
        from_json(line)


def test_data_with_line_breaks_are_no_line() -> None:
    event, _ = signed(b'{"a":\n1}')
    with pytest.raises(NotACloudEvent):
        to_json(event)


def test_the_types_are_those_that_the_services_publish() -> None:
    published = {
        service: [type_.split(".")[2] for type_ in types] for service, types in OUTBOUND.items() if types
    }
    assert {service: list(names) for service, names in EVENT_TYPES.items()} == published
    assert set(SERVICES) == {service for service, types in OUTBOUND.items() if types} == set(EVENT_TYPES)


@pytest.mark.parametrize("type_", ["VersionPromoted", "regista.registry.VersionPromoted.v1"])
def test_a_type_has_a_short_and_a_full_name(type_: str) -> None:
    assert problem_of_type(type_) == ""


def test_an_unknown_type_names_the_nearest() -> None:
    assert problem_of_type("VersionPromotd").endswith("VersionPromoted?")
    assert problem_of_type("versionpromoted").endswith("VersionPromoted?")
    assert problem_of_type("nothing-like-it")
