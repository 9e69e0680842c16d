"""libsodium signs and verifies as OpenSSL does, and refuses more."""

from __future__ import annotations

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.cloudevents import CloudEvent
from regista.wire.dsse import BadSignature, sign, verify
from regista.wire.keys import generate_signing_key
from shared.identity.ed25519 import FastSigningKey, PublicKey

KEY = generate_signing_key("anna")
FAST, PUBLIC = FastSigningKey(KEY), PublicKey(KEY.public)
SMALL_ORDER = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]


@given(st.binary(max_size=300))
def test_both_libraries_make_and_accept_the_same_signatures(data: bytes) -> None:
    signature = FAST.sign(data)
    assert signature == KEY.sign(data)
    PUBLIC.verify(signature, data)
    Ed25519PublicKey.from_public_bytes(KEY.public).verify(signature, data)


@given(st.binary(max_size=100), st.integers(0, 63), st.integers(1, 255))
def test_an_altered_signature_is_refused(data: bytes, at: int, change: int) -> None:
    signature = bytearray(FAST.sign(data))
    signature[at] ^= change
    with pytest.raises(ValueError, match="does not fit"):
        PUBLIC.verify(bytes(signature), data)


def test_the_boundary_between_signature_and_data_cannot_move() -> None:
    signature = FAST.sign(b"data")
    for cut, rest in ((signature[:60], signature[60:] + b"data"), (signature + b"d", b"ata"), (b"", b"data")):
        with pytest.raises(ValueError, match="64 bytes"):
            PUBLIC.verify(cut, rest)


def test_a_public_key_has_32_bytes() -> None:
    for raw in (b"", KEY.public[:31], KEY.public + b"x"):
        with pytest.raises(ValueError, match="32 bytes"):
            PublicKey(raw)


@pytest.mark.parametrize("raw", SMALL_ORDER)
def test_a_key_of_small_order_verifies_nothing(raw: str) -> None:
    """In libraries that accept it, the signature R = identity, s = 0 fits such a key and some message."""
    key, identity = PublicKey(bytes.fromhex(raw)), bytes([1]) + bytes(63)
    for n in range(64):
        with pytest.raises(ValueError, match="does not fit"):
            key.verify(identity, b"message %d" % n)


def test_an_event_signed_by_one_library_is_verified_by_the_other() -> None:
    event = CloudEvent("1", "/regista/toy", "Known.v1", "a", "2026-01-01T00:00:00Z", b"{}")
    assert sign(event, FAST) == sign(event, KEY)
    verify(sign(event, FAST), KEY.public)
    verify(sign(event, KEY), PUBLIC)
    with pytest.raises(BadSignature, match="does not verify with the key"):
        verify(sign(event, FAST), PublicKey(generate_signing_key("bert").public))
