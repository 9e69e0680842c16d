"""Ed25519 signing keys, and their file format."""

from __future__ import annotations

import base64
import binascii
import os
import secrets
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from regista.wire.ed25519 import problem_of_public_key

_ALPHABET = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


class BadKey(ValueError):  # noqa: N818 - names what the text is
    """The text or file is not a key of Regista; the message describes one."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """The private half of an Ed25519 key.

    `key_id` names it in signatures, `subject` is the identity it belongs to.
    """

    key_id: str
    subject: str
    private: Ed25519PrivateKey = field(repr=False)

    @property
    def public(self) -> bytes:
        """The 32 raw bytes of the public half: what the registry stores."""
        return self.private.public_key().public_bytes_raw()

    def sign(self, data: bytes, /) -> bytes:
        """Return the 64 bytes of the signature."""
        return self.private.sign(data)

    def to_json(self) -> str:
        """Return the file format: `{"key_id", "subject", "seed"}`, the secret seed in Base64."""
        seed = base64.b64encode(self.private.private_bytes_raw()).decode()
        return msgspec.json.encode({"key_id": self.key_id, "subject": self.subject, "seed": seed}).decode()

    def save(self, path: Path) -> None:
        """Write a new file that only its owner can read.

        Raises FileExistsError: a key is never overwritten.
        """
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(self.to_json() + "\n")


class _File(msgspec.Struct, forbid_unknown_fields=True):
    key_id: str
    subject: str
    seed: str


def generate_signing_key(subject: str, key_id: str = "") -> SigningKey:
    """Return a new key; its id is random by default."""
    return SigningKey(key_id or new_key_id(), subject, Ed25519PrivateKey.generate())


def read_signing_key(text: str | bytes) -> SigningKey:
    """Return the key in the file format. Raises BadKey."""
    try:
        stored = msgspec.json.decode(text, type=_File)
        private = Ed25519PrivateKey.from_private_bytes(base64.b64decode(stored.seed, validate=True))
    except (msgspec.MsgspecError, UnicodeError, binascii.Error, ValueError) as e:
        raise BadKey(
            'not a signing key: expected {"key_id", "subject", "seed"} as `regista key generate` writes it '
            f"({type(e).__name__})"
        ) from None
    return SigningKey(stored.key_id, stored.subject, private)


def load_signing_key(path: Path | str) -> SigningKey:
    """Return the key in a file. Raises BadKey and OSError."""
    return read_signing_key(Path(path).read_bytes())


def strict_public_key(raw: bytes) -> Ed25519PublicKey:
    """Return the key that verifies signatures. Raises BadKey for one by which every attacker could sign."""
    if problem := problem_of_public_key(raw):
        raise BadKey(problem)
    return Ed25519PublicKey.from_public_bytes(raw)


def new_key_id() -> str:
    """Return a random id of a key: 16 characters of base 62."""
    return random_text(16)


def random_text(length: int) -> str:
    """Return random characters of base 62, each 5.95 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(length))
