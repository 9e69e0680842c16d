"""Which parts of a message stay in its dead letter when the message is too large."""

from __future__ import annotations

import asyncio
import hashlib
from typing import Any

import pytest
from aiokafka import ConsumerRecord
from aiokafka.errors import KafkaTimeoutError

from shared.foundation.settings import Settings
from shared.messaging import dead_letters, kafka


def shortened(
    key: bytes, value: bytes, headers: list[tuple[str, bytes]]
) -> tuple[bytes | None, bytes, dict[str, bytes]]:
    record = ConsumerRecord("t", 0, 7, 0, 0, key, value, None, len(key), len(value), headers)
    kept, head, letter = dead_letters._shortened(record)
    return kept, head, dict(letter)


def test_a_message_of_usual_size_is_kept_whole_without_forged_headers() -> None:
    value = b"v" * dead_letters.MOST_OF_VALUE
    found = shortened(b"k", value, [("ce_id", b"1"), ("regista-reason", b"forged")])
    assert found == (b"k", value, {"ce_id": b"1"})


def test_of_a_larger_value_stay_head_digest_and_size() -> None:
    value = b"v" * (dead_letters.MOST_OF_VALUE + 1)
    key, head, headers = shortened(b"k", value, [("ce_id", b"1")])
    assert (key, head) == (b"k", value[: dead_letters.HEAD_OF_VALUE])
    assert headers == {
        "ce_id": b"1",
        "regista-value-size": str(len(value)).encode(),
        "regista-value-left-out": f"sha256:{hashlib.sha256(value).hexdigest()}".encode(),
    }


@pytest.mark.parametrize(
    ("key", "value", "headers", "left_out"),
    [
        (b"k", b"v" * 3_000_000, [("ce_id", b"1")], "regista-value-left-out"),
        (b"k" * 3_000_000, b"v", [("ce_id", b"1")], "regista-key-left-out"),
        (b"k", b"v", [("x", b"y" * 3_000_000)], "regista-headers-left-out"),
        (b"k", b"v", [(f"x{n}", b"") for n in range(100_000)], "regista-headers-left-out"),
    ],
)
def test_a_dead_letter_is_small_whichever_part_of_its_message_is_too_large(
    key: bytes, value: bytes, headers: list[tuple[str, bytes]], left_out: str
) -> None:
    kept, head, letter = shortened(key, value, headers)
    assert letter[left_out].startswith(b"sha256:")
    size = len(kept or b"") + len(head) + sum(len(name) + len(text) for name, text in letter.items())
    assert size < 150_000


class Producer:
    """A producer that Kafka never answers."""

    stopped = False

    async def send_and_wait(self, *_: Any, **__: Any) -> None:
        await asyncio.get_running_loop().create_future()

    async def stop(self) -> None:
        self.stopped = True


async def test_a_dead_letter_that_kafka_does_not_answer_fails_and_its_producer_is_replaced(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = [Producer(), Producer()]
    left = iter(opened)

    async def start(_: Settings) -> Producer:
        return next(left)

    monkeypatch.setattr(dead_letters, "start_producer", start)
    monkeypatch.setattr(kafka, "ANSWER_WITHIN", 0.05)
    letters = dead_letters.DeadLetters(Settings(), ["t"])
    for producer in opened:
        with pytest.raises(KafkaTimeoutError):
            await letters.add(ConsumerRecord("t", 0, 7, 0, 0, b"k", b"v", None, 1, 1, ()), "why", "group")
        assert producer.stopped
