"""Check that 32 bytes are an Ed25519 public key by which only the holder of its secret can sign.

A point of small order verifies signatures that every attacker can make. OpenSSL accepts such keys, and other
spellings of the same point; libsodium refuses both.
"""

from __future__ import annotations

from functools import lru_cache

PRIME = 2**255 - 19
D = -121665 * pow(121666, -1, PRIME) % PRIME
ROOT_OF_MINUS_ONE = pow(2, (PRIME - 1) // 4, PRIME)


@lru_cache(maxsize=4096)
def problem_of_public_key(raw: bytes) -> str:
    """Return why these bytes cannot be a public key, or ""."""
    if len(raw) != 32:
        return f"a public key has 32 bytes, not {len(raw)}"
    number = int.from_bytes(raw, "little")
    y, sign = number % 2**255, number >> 255
    if y >= PRIME:
        return "the bytes are another spelling of a point (y is not below the prime of the field)"
    x = _x_of(y)
    if x is None:
        return "the bytes are no point of the curve"
    if x == 0 and sign:
        return "the bytes are another spelling of a point (x is 0 with a sign)"
    point = x, y
    for _ in range(3):
        point = _doubled(*point)
    return "the point has small order: every attacker could sign with it" if point == (0, 1) else ""


def _x_of(y: int) -> int | None:
    """Return one of the two x of the points with this y, or None when there is none."""
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    x = pow(square, (PRIME + 3) // 8, PRIME)
    if x * x % PRIME != square:
        x = x * ROOT_OF_MINUS_ONE % PRIME
    return x if x * x % PRIME == square else None


def _doubled(x: int, y: int) -> tuple[int, int]:
    product = D * x * x * y * y
    return (
        2 * x * y * pow(1 + product, -1, PRIME) % PRIME,
        (y * y + x * x) * pow(1 - product, -1, PRIME) % PRIME,
    )
