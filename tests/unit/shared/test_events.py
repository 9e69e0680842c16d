"""The envelope and its bytes."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import msgspec
import pytest

from shared.deciding.events import (
    Actor,
    Envelope,
    EventTypes,
    Noted,
    Recent,
    Source,
    encode,
    from_actor,
    storable,
)

AT = datetime(2026, 3, 1, 12, 0, 0, 123456, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Priced:
    SCHEMA: ClassVar[int] = 3
    cents: int
    currency: str
    note: str


def _cents(data: dict[str, Any]) -> dict[str, Any]:
    return {"cents": data["euros"] * 100, "currency": "EUR"}


def _note(data: dict[str, Any]) -> dict[str, Any]:
    return {**data, "note": ""}


TYPES = EventTypes((Priced,), {("Priced", 1): _cents, ("Priced", 2): _note})


def _stored(type_: str, schema: int, data: object, id_: int = 1) -> bytes:
    return encode(
        Envelope(UUID(int=id_), type_, schema, "price-1", 4, AT, Actor("user-1"), msgspec.Raw(encode(data)))
    )


def test_equal_events_have_equal_bytes_whatever_the_order_of_keys() -> None:
    assert (
        encode({"b": 1, "a": {"d": 1, "c": 2}})
        == encode({"a": {"c": 2, "d": 1}, "b": 1})
        == b'{"a":{"c":2,"d":1},"b":1}'
    )


def test_a_stored_event_is_read_back_unchanged() -> None:
    recorded = TYPES.recorded("shop", _stored("Priced", 3, Priced(5, "EUR", "x")))
    assert recorded.event == Priced(5, "EUR", "x")
    assert (recorded.stream, recorded.revision, recorded.recorded_at, recorded.actor) == (
        "price-1",
        4,
        AT,
        Actor("user-1"),
    )


def test_a_recent_event_is_not_decoded_again_unless_another_has_its_revision() -> None:
    recent = Recent(10)
    lately = TYPES.recorded("shop", _stored("Priced", 3, Priced(5, "EUR", "x")))
    recent.put(lately)
    same, other = (
        TYPES.recorded("shop", _stored("Priced", 3, Priced(5, "EUR", "x"), id_), recent=recent)
        for id_ in (1, 2)
    )
    assert same.event is lately.event
    assert other.event is not lately.event
    recent.clear()
    assert (
        TYPES.recorded("shop", _stored("Priced", 3, Priced(5, "EUR", "x")), recent=recent).event
        is not lately.event
    )


def test_the_first_schema_passes_every_upcaster_and_the_stored_bytes_stay() -> None:
    stored = _stored("Priced", 1, {"euros": 2})
    recorded = TYPES.recorded("shop", stored)
    assert recorded.event == Priced(200, "EUR", "")
    assert recorded.bytes == stored


def test_a_schema_without_an_upcaster_is_an_error() -> None:
    with pytest.raises(KeyError):
        EventTypes((Priced,), {}).decode("Priced", 1, b'{"euros":2}')


def test_every_service_can_store_noted_events() -> None:
    noted = Noted(Source("other", "thing-1", 7, "other.Happened.v1", "id"), "00ff", {"x": [1, None, "y"]})
    assert TYPES.decode("Noted", 1, encode(noted)) == noted


def test_the_leaf_is_the_rfc6962_hash_of_the_stored_bytes() -> None:
    recorded = TYPES.recorded("shop", _stored("Priced", 3, Priced(5, "EUR", "x")))
    assert recorded.leaf == hashlib.sha256(b"\x00" + recorded.bytes).hexdigest()


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        b"{",
        b'{"a":NaN}',
        b'{"a":Infinity}',
        b'{"a":1e999}',
        b'{"a":"\\u0000"}',
        b'{"a":"\\ud800"}',
        b"\xff",
        b"[" * 100_000,
    ],
)
def test_json_that_cannot_be_stored_is_refused(raw: bytes) -> None:
    with pytest.raises(ValueError):
        storable(raw)
    assert storable(b'{"a":[1,"\xc3\xa9"]}') == {"a": [1, "é"]}


@dataclass(frozen=True, slots=True)
class Unlisted:
    cents: int


def test_an_event_that_could_not_be_read_back_is_never_stored() -> None:
    with pytest.raises(TypeError, match="add it to its EventTypes"):
        TYPES.schema_of(Unlisted(1))


@dataclass(frozen=True, slots=True)
class Signed:
    SCHEMA: ClassVar[int] = 3

    what: str
    by: str
    note: str


SIGNED = EventTypes(
    (Signed,), {("Signed", 1): from_actor("by"), ("Signed", 2): lambda data: data | {"note": "none"}}
)


def test_a_field_that_an_older_form_lacked_comes_from_the_actor_of_its_envelope() -> None:
    stored = _stored("Signed", 1, {"what": "it"})
    assert SIGNED.recorded("shop", stored).event == Signed("it", "user-1", "none")
    assert SIGNED.recorded("shop", stored, recent=Recent(1)).event.by == "user-1"
