"""What of a message stays in its dead letter when all of it would be too much."""

from __future__ import annotations

import hashlib

import pytest
from aiokafka import ConsumerRecord

from shared import deadletters


def shortened(key: bytes, value: bytes, headers: list[tuple[str, bytes]]) -> tuple[bytes | None, dict[str, bytes]]:
    record = ConsumerRecord("t", 0, 7, 0, 0, key, value, None, len(key), len(value), headers)
    kept, letter = deadletters._shortened(record)
    return kept, dict(letter)


def test_a_value_that_is_too_large_leaves_its_digest_and_all_the_rest() -> None:
    key, headers = shortened(b"k", b"v" * 10, [("ce_id", b"1"), ("regista-reason", b"forged")])
    assert key == b"k"
    assert headers == {"ce_id": b"1", "regista-value-left-out": f"sha256:{hashlib.sha256(b'v' * 10).hexdigest()}".encode()}


@pytest.mark.parametrize(
    ("key", "headers", "left_out"),
    [
        (b"k" * 3_000_000, [("ce_id", b"1")], "regista-key-left-out"),
        (b"k", [("x", b"y" * 3_000_000)], "regista-headers-left-out"),
        (b"k", [(f"x{n}", b"") for n in range(100_000)], "regista-headers-left-out"),
    ],
)
def test_whatever_is_too_large_the_letter_is_small(key: bytes, headers: list[tuple[str, bytes]], left_out: str) -> None:
    kept, letter = shortened(key, b"v", headers)
    assert letter[left_out].startswith(b"sha256:")
    assert len(kept or b"") + sum(len(name) + len(value) for name, value in letter.items()) < 100_000
