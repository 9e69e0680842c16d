"""Ed25519 by libsodium (PyNaCl), for messages: it takes two thirds of OpenSSL's time.

Keys are made, read and kept by `regista.wire.keys`. libsodium refuses keys of small order and signatures in a
form other than the canonical one; otherwise both libraries accept the same.
"""

from __future__ import annotations

from functools import lru_cache

from nacl.bindings import (
    crypto_sign,
    crypto_sign_BYTES,
    crypto_sign_open,
    crypto_sign_PUBLICKEYBYTES,
    crypto_sign_seed_keypair,
)
from nacl.exceptions import BadSignatureError

from regista.wire.keys import SigningKey


class PublicKey:
    """The public half of a key. Raises ValueError for what has not 32 bytes."""

    __slots__ = ("_raw",)

    def __init__(self, raw: bytes) -> None:
        if len(raw) != crypto_sign_PUBLICKEYBYTES:
            raise ValueError(f"a public key has {crypto_sign_PUBLICKEYBYTES} bytes, not {len(raw)}")
        self._raw = raw

    def verify(self, signature: bytes, data: bytes, /) -> None:
        """Return when this key signed exactly `data`. Raises ValueError."""
        if len(signature) != crypto_sign_BYTES:
            raise ValueError(f"a signature has {crypto_sign_BYTES} bytes, not {len(signature)}")
        try:
            crypto_sign_open(signature + data, self._raw)
        except BadSignatureError as bad:
            raise ValueError("the signature does not fit the key") from bad


public_key = lru_cache(maxsize=4096)(PublicKey)
"""The key of these 32 bytes."""


class FastSigningKey:
    """A signing key that signs by libsodium: the same signatures, byte for byte."""

    __slots__ = ("_secret", "key_id")

    def __init__(self, key: SigningKey) -> None:
        self.key_id = key.key_id
        _, self._secret = crypto_sign_seed_keypair(key.private.private_bytes_raw())

    def sign(self, data: bytes, /) -> bytes:
        """Return the 64 bytes of the signature."""
        return crypto_sign(data, self._secret)[:crypto_sign_BYTES]
