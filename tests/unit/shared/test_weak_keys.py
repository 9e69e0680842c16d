"""Weak public keys are refused where keys are issued and where signatures are verified."""

from __future__ import annotations

import base64
import os
from dataclasses import replace
from datetime import UTC, datetime

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from nacl.bindings import crypto_core_ed25519_is_valid_point

from regista.wire.checkpoint import BadCheckpoint, opened, parsed_key, verifier_key
from regista.wire.cloudevents import CloudEvent
from regista.wire.dsse import BadSignature, generate_signing_key, sign, verify
from regista.wire.ed25519 import PRIME, problem_of_public_key
from services.registry.access.bootstrap import Spec, commands
from services.registry.access.domain.commands import IssueKey
from services.registry.access.domain.deciders import decide
from shared.deciding.access import AccessState
from shared.deciding.decider import Unprocessable

Y_OF_ORDER_8 = 0x05FC536D880238B13933C6D305ACDFD5F098EFF289F4C345B027B2C28F95E826


def spelled(y: int, sign: int = 0) -> bytes:
    return (y + (sign << 255)).to_bytes(32, "little")


SMALL = [
    spelled(y, sign)
    for y in (0, 1, PRIME - 1, Y_OF_ORDER_8, PRIME - Y_OF_ORDER_8, PRIME, PRIME + 1)
    for sign in (0, 1)
]
OTHER_SPELLINGS = [spelled(PRIME + n, sign) for n in range(19) for sign in (0, 1)]
NO_POINTS = [spelled(2), spelled(7), b"", bytes(31), bytes(33)]
BAD = [*SMALL, *OTHER_SPELLINGS, *NO_POINTS]


@pytest.mark.parametrize("raw", BAD, ids=lambda raw: raw.hex() or "empty")
def test_a_weak_or_malformed_key_is_refused(raw):
    assert problem_of_public_key(raw)
    assert len(raw) != 32 or not crypto_core_ed25519_is_valid_point(raw)


def test_real_keys_are_accepted_and_random_bytes_exactly_when_they_are_points():
    for _ in range(50):
        assert problem_of_public_key(Ed25519PrivateKey.generate().public_key().public_bytes_raw()) == ""
    for _ in range(100):
        raw = os.urandom(32)
        if crypto_core_ed25519_is_valid_point(raw):
            assert problem_of_public_key(raw) == ""


def test_openssl_accepts_a_forged_signature_and_the_verifiers_do_not():
    """With the neutral point as key and as R, S = 0 signs every message."""
    weak, forged = spelled(1), spelled(1) + bytes(32)
    Ed25519PublicKey.from_public_bytes(weak).verify(forged, b"any message")
    event = sign(
        CloudEvent("1", "/publishers/p", "t", "s", datetime.now(UTC).isoformat(), b"{}"),
        generate_signing_key("p"),
    )
    material = msgspec.json.decode(base64.b64decode(event.extensions["dssematerial"]))
    material["signatures"][0]["sig"] = base64.b64encode(forged).decode()
    extensions = event.extensions | {"dssematerial": base64.b64encode(msgspec.json.encode(material)).decode()}
    with pytest.raises(BadSignature):
        verify(replace(event, extensions=extensions), weak)


def test_a_log_checkpoint_by_a_weak_key_is_refused():
    weak = spelled(1)
    text = verifier_key("log", weak)
    with pytest.raises(BadCheckpoint, match="small order"):
        parsed_key(text)
    note = f"log\n0\n{base64.b64encode(bytes(32)).decode()}\n"
    hash_ = bytes.fromhex(text.split("+")[1])
    line = f"— log {base64.b64encode(hash_ + spelled(1) + bytes(32)).decode()}\n"
    with pytest.raises(BadCheckpoint):
        opened(f"{note}\n{line}", "log", weak)


@pytest.mark.parametrize("raw", [raw for raw in BAD if len(raw) == 32], ids=bytes.hex)
def test_the_registry_and_bootstrap_issue_no_weak_key(raw):
    state = AccessState("p", "publisher")
    with pytest.raises(Unprocessable, match="invalid_key"):
        decide(IssueKey("p", "k1", "ed25519", raw.hex()), state)
    spec = {
        "subject": "p",
        "kind": "publisher",
        "name": "P",
        "keys": [{"key_id": "k1", "algorithm": "ed25519", "verifier": raw.hex()}],
    }
    (_, command) = commands(msgspec.convert({"identities": [spec]}, Spec))
    with pytest.raises(Unprocessable, match="invalid_key"):
        decide(command, state)
    assert decide(IssueKey("p", "k1", "hmac-sha256", raw.hex()), state)
