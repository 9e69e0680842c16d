"""Cosign log checkpoints as a witness (c2sp.org/tlog-cosignature, `cosignature/v1`, Ed25519). Pure.

A cosignature states: at this time the witness saw this tree, and it continued every tree that the witness had
cosigned of this log before.
"""

from __future__ import annotations

import base64
import binascii
import hashlib

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from regista.wire.checkpoint import SIGNATURE_LINE, BadCheckpoint

_COSIGNATURE = b"\x04"
_TIME = 8


def _key_hash(name: str, public_key: bytes) -> bytes:
    return hashlib.sha256(name.encode() + b"\n" + _COSIGNATURE + public_key).digest()[:4]


def witness_key(name: str, public_key: bytes) -> str:
    """Return the key as text for verifiers: `<name>+<hash>+<key>`."""
    encoded = base64.b64encode(_COSIGNATURE + public_key).decode()
    return f"{name}+{_key_hash(name, public_key).hex()}+{encoded}"


def parsed_witness_key(text: str) -> tuple[str, bytes]:
    """Return (name, public key) of a key as `witness_key` writes it. Raises BadCheckpoint."""
    name, _, rest = text.strip().partition("+")
    hash_, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error as e:
        raise BadCheckpoint("the key of the witness does not read `<name>+<hash>+<base64>`") from e
    if not name or len(raw) != 33 or raw[:1] != _COSIGNATURE or hash_ != _key_hash(name, raw[1:]).hex():
        raise BadCheckpoint("the key of the witness is no Ed25519 key for cosignatures, or its hash is wrong")
    return name, raw[1:]


def cosigned(note: str, name: str, private: Ed25519PrivateKey, at: int) -> str:
    """Return the signed note with one more signature. `at`: seconds since 1970. Verify the note first."""
    text, time = _text_of(note), at.to_bytes(_TIME, "big")
    signature = private.sign(_message(text, at))
    raw = _key_hash(name, private.public_key().public_bytes_raw()) + time + signature
    return f"{note}— {name} {base64.b64encode(raw).decode()}\n"


def cosigned_at(note: str, name: str, public_key: bytes) -> int:
    """Return when the witness cosigned a note, in seconds since 1970. Raises BadCheckpoint."""
    text = _text_of(note)
    for line in note.rpartition("\n\n")[2].splitlines():
        found = SIGNATURE_LINE.fullmatch(line)
        if found and found["name"] == name and (at := _verified(found["signature"], text, name, public_key)):
            return at
    raise BadCheckpoint(f"it has no valid cosignature of {name}")


def _verified(encoded: str, text: str, name: str, public_key: bytes) -> int:
    try:
        raw = base64.b64decode(encoded, validate=True)
        if raw[:4] != _key_hash(name, public_key):
            return 0
        at = int.from_bytes(raw[4 : 4 + _TIME], "big")
        Ed25519PublicKey.from_public_bytes(public_key).verify(raw[4 + _TIME :], _message(text, at))
    except (binascii.Error, InvalidSignature):
        return 0
    return at


def _message(text: str, at: int) -> bytes:
    return f"cosignature/v1\ntime {at}\n{text}".encode()


def _text_of(note: str) -> str:
    text, separator, _ = note.rpartition("\n\n")
    if not separator:
        raise BadCheckpoint("it is no signed note: text, an empty line, then signature lines")
    return text + "\n"
