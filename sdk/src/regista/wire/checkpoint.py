"""Sign and open log checkpoints.

A log checkpoint is size and root of the tree as a C2SP signed note (c2sp.org/tlog-checkpoint), Ed25519.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from regista.wire.ed25519 import problem_of_public_key
from regista.wire.keys import BadKey, strict_public_key

_ED25519 = b"\x01"
SIGNATURE_LINE = re.compile(r"— (?P<name>[^\s+]+) (?P<signature>[A-Za-z0-9+/=]+)")


class BadCheckpoint(ValueError):  # noqa: N818
    """The text is no checkpoint signed by this key; the message states what is wrong.

    Trust nothing in the text.
    """


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A tree head. `origin` names the log; `root` is the tree head over its first `size` leaves."""

    origin: str
    size: int
    root: bytes

    @property
    def text(self) -> str:
        """The signed text: three lines, each with its newline."""
        return f"{self.origin}\n{self.size}\n{base64.b64encode(self.root).decode()}\n"


def key_hash(name: str, public_key: bytes) -> bytes:
    """Return the four bytes by which a signature names its key."""
    return hashlib.sha256(name.encode() + b"\n" + _ED25519 + public_key).digest()[:4]


def verifier_key(name: str, public_key: bytes) -> str:
    """Return the key as text for verifiers: `<name>+<hash>+<key>`."""
    return f"{name}+{key_hash(name, public_key).hex()}+{base64.b64encode(_ED25519 + public_key).decode()}"


def parsed_key(text: str) -> tuple[str, bytes]:
    """Return (name, public key) of a key as `verifier_key` writes it. Raises BadCheckpoint."""
    name, _, rest = text.strip().partition("+")
    hash_, _, encoded = rest.partition("+")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except binascii.Error as e:
        raise BadCheckpoint("the key does not read `<name>+<hash>+<base64>`") from e
    if not name or len(raw) != 33 or raw[:1] != _ED25519 or hash_ != key_hash(name, raw[1:]).hex():
        raise BadCheckpoint(
            "the key does not read `<name>+<hash>+<base64>` of an Ed25519 key, or its hash is of another key"
        )
    if problem := problem_of_public_key(raw[1:]):
        raise BadCheckpoint(f"the key cannot be trusted: {problem}")
    return name, raw[1:]


def signed(checkpoint: Checkpoint, name: str, private: Ed25519PrivateKey) -> str:
    """Return the signed note. The same checkpoint and key always give the same text."""
    signature = key_hash(name, private.public_key().public_bytes_raw()) + private.sign(
        checkpoint.text.encode()
    )
    return f"{checkpoint.text}\n— {name} {base64.b64encode(signature).decode()}\n"


def opened(note: str, name: str, public_key: bytes) -> Checkpoint:
    """Return the checkpoint in a note after verifying its signature by this key. Raises BadCheckpoint."""
    text, separator, signatures = note.rpartition("\n\n")
    if not separator or not signatures.endswith("\n"):
        raise BadCheckpoint("it is no signed note: text, an empty line, then signature lines")
    text += "\n"
    lines = [SIGNATURE_LINE.fullmatch(line) for line in signatures.splitlines()]
    if any(line is None for line in lines):
        raise BadCheckpoint("a signature line does not read `— <name> <base64>`")
    if not any(
        line and line["name"] == name and _verified(line["signature"], text, name, public_key)
        for line in lines
    ):
        raise BadCheckpoint(f"it has no valid signature of {name}")
    return _parsed(text)


def unverified(note: str) -> Checkpoint | None:
    """Return what a note claims, without verifying a signature; None when it is no checkpoint."""
    text, separator, _ = note.rpartition("\n\n")
    try:
        return _parsed(text + "\n") if separator else None
    except BadCheckpoint:
        return None


def _verified(encoded: str, text: str, name: str, public_key: bytes) -> bool:
    try:
        raw = base64.b64decode(encoded, validate=True)
        if raw[:4] != key_hash(name, public_key):
            return False
        strict_public_key(public_key).verify(raw[4:], text.encode())
    except (binascii.Error, InvalidSignature, BadKey):
        return False
    return True


def _parsed(text: str) -> Checkpoint:
    lines = text.split("\n")
    try:
        origin, size, root = lines[0], int(lines[1]), base64.b64decode(lines[2], validate=True)
    except (IndexError, ValueError) as e:
        raise BadCheckpoint("the signed text is not origin, size and root") from e
    if not origin or str(size) != lines[1] or size < 0 or len(root) != 32:
        raise BadCheckpoint("the signed text is not origin, size and root")
    return Checkpoint(origin, size, root)
