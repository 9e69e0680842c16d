"""DSSE over CloudEvents: one key, one event, nothing else passes."""

from __future__ import annotations

import base64
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.cloudevents import CloudEvent, from_kafka, to_kafka
from regista.wire.dsse import PAYLOAD_TYPE, BadSignature, key_id_of, material, pae, sign, verify
from regista.wire.keys import generate_signing_key

KEY = generate_signing_key("publisher:bob", "bob1")
EVENT = CloudEvent(
    "7",
    "/publishers/bob",
    "regista.ModelTrained.v1",
    "churn",
    "2026-01-31T12:00:00.25Z",
    b'{"model":"churn"}',
    dataschema="https://regista.dev/s",
    extensions={"partitionkey": "churn", "correlationid": "c1", "revision": "3"},
)
SIGNED = sign(EVENT, KEY)
ATTRIBUTES = ["id", "source", "type", "subject", "dataschema", "datacontenttype"]


def test_a_signed_event_passes_with_its_key_also_after_a_trip_over_kafka() -> None:
    verify(SIGNED, KEY.public)
    _, value, headers = to_kafka(SIGNED)
    verify(from_kafka(value, headers), KEY.private.public_key())
    assert key_id_of(SIGNED) == "bob1"


def test_the_material_is_that_of_the_extensions_published_test_vector() -> None:
    event = CloudEvent(
        "1",
        "example/uri",
        "example.type.binary",
        "",
        "",
        base64.b64decode("8J+koQ=="),
        datacontenttype="application/octet-stream",
    )
    assert base64.b64encode(material(event, ())) == b"qCSeiZkS+hH9WiClfq6plfqYNVy2kvxWRfoBrLEzoDk="


def test_the_bytes_signed_are_those_of_dsses_own_example() -> None:
    assert (
        pae("http://example.com/HelloWorld", b"hello world")
        == b"DSSEv1 29 http://example.com/HelloWorld 11 hello world"
    )


def test_the_same_moment_in_another_zone_keeps_the_signature_and_another_moment_does_not() -> None:
    verify(replace(SIGNED, time="2026-01-31T13:00:00.250+01:00"), KEY.public)
    with pytest.raises(BadSignature, match="altered"):
        verify(replace(SIGNED, time="2026-01-31T12:00:00.26Z"), KEY.public)


@given(st.integers(0, len(SIGNED.data) * 8 - 1))
def test_any_flipped_bit_of_the_data_fails(bit: int) -> None:
    data = bytearray(SIGNED.data)
    data[bit // 8] ^= 1 << bit % 8
    with pytest.raises(BadSignature):
        verify(replace(SIGNED, data=bytes(data)), KEY.public)


@given(st.sampled_from(ATTRIBUTES), st.text(min_size=1, max_size=20))
def test_any_altered_attribute_fails(name: str, value: str) -> None:
    altered = replace(SIGNED, **{name: getattr(SIGNED, name) + value})
    with pytest.raises(BadSignature):
        verify(altered, KEY.public)


@given(st.sampled_from(sorted(EVENT.extensions)), st.text(max_size=20))
def test_any_altered_or_removed_extension_fails(name: str, value: str) -> None:
    kept = {n: v for n, v in SIGNED.extensions.items() if n != name}
    with pytest.raises(BadSignature):
        verify(replace(SIGNED, extensions=kept), KEY.public)
    with pytest.raises(BadSignature):
        verify(replace(SIGNED, extensions=kept | {name: SIGNED.extensions[name] + "x" + value}), KEY.public)


def test_an_extension_added_after_signing_fails() -> None:
    with pytest.raises(BadSignature, match="not signed: causationid"):
        verify(replace(SIGNED, extensions={**SIGNED.extensions, "causationid": "x"}), KEY.public)


@given(st.integers(min_value=0), st.integers(0, 7))
def test_any_flipped_bit_of_the_signature_material_fails_or_leaves_the_proof_whole(
    index: int, bit: int
) -> None:
    raw = bytearray(base64.b64decode(SIGNED.extensions["dssematerial"]))
    raw[index % len(raw)] ^= 1 << bit
    damaged = replace(
        SIGNED, extensions={**SIGNED.extensions, "dssematerial": base64.b64encode(raw).decode()}
    )
    try:
        verify(damaged, KEY.public)
    except BadSignature:
        return
    assert (
        key_id_of(damaged) != "bob1"
    )  # only the key's name is outside the proof; another name finds another key


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda b: base64.b64encode(b).decode()))
def test_hostile_material_raises_nothing_but_bad_signature(text: str) -> None:
    with pytest.raises(BadSignature):
        verify(replace(SIGNED, extensions={**SIGNED.extensions, "dssematerial": text}), KEY.public)


@given(st.text(max_size=60))
def test_hostile_lists_of_signed_attributes_raise_nothing_but_bad_signature(text: str) -> None:
    with pytest.raises(BadSignature):
        verify(replace(SIGNED, extensions={**SIGNED.extensions, "signedextattrs": text}), KEY.public)


@pytest.mark.parametrize(
    "listed",
    [
        "id,partitionkey",
        "partitionkey,partitionkey",
        "dssematerial",
        "signedextattrs",
        "correlationid, partitionkey",
    ],
)
def test_lists_the_extension_forbids_are_refused(listed: str) -> None:
    with pytest.raises(BadSignature, match=r"signedextattrs|missing"):
        verify(replace(SIGNED, extensions={**SIGNED.extensions, "signedextattrs": listed}), KEY.public)


def test_another_key_an_unsigned_event_and_deep_nesting_fail() -> None:
    with pytest.raises(BadSignature, match="does not verify"):
        verify(SIGNED, generate_signing_key("eve").public)
    with pytest.raises(BadSignature, match="not signed"):
        key_id_of(EVENT)
    deep = base64.b64encode(b"[" * 3000).decode()
    with pytest.raises(BadSignature):
        verify(replace(SIGNED, extensions={"dssematerial": deep}), KEY.public)
    with pytest.raises(BadSignature, match="does not verify"):
        verify(SIGNED, b"short")


def test_a_foreign_payload_type_is_refused() -> None:
    raw = base64.b64decode(SIGNED.extensions["dssematerial"]).replace(
        PAYLOAD_TYPE.encode(), b"application/other"
    )
    with pytest.raises(BadSignature, match="payload type"):
        verify(
            replace(SIGNED, extensions={**SIGNED.extensions, "dssematerial": base64.b64encode(raw).decode()}),
            KEY.public,
        )
