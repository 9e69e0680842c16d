"""Records with one cause are one dead letter; a marker closes what its operator saw."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from aiokafka import ConsumerRecord

from shared.messaging.dead_letter_records import (
    DeadLetter,
    cause_of,
    dead_letter,
    grouped,
    marker,
    merged,
    own,
)

MESSAGE: list[tuple[str, bytes]] = [("ce_id", b"1"), ("ce_source", b"/publishers/p")]


def record(
    offset: int, at: int, headers: list[tuple[str, bytes]], value: bytes = b"{}", topic: str = "t.dlq"
) -> Any:
    return ConsumerRecord(topic, 0, offset, at, 0, b"k", value, None, 1, len(value), headers)


def letter(offset: int, at: int, cause: str = "c", code: str = "refused") -> DeadLetter:
    return dead_letter(
        record(offset, at, [*MESSAGE, *own(topic="t", group="g", cause=cause, code=code, reason="why")])
    )


def closing(how: str, offset: int, at: int, covers: int | None) -> Any:
    headers = own(**{how: f"t.dlq~0~{offset}", f"{how}-by": "otto", "why": "known"})
    if covers is not None:
        headers += own(covers=datetime.fromtimestamp(covers / 1000, UTC).isoformat())
    return marker(record(99, at, headers, b""))


def test_a_message_read_again_has_the_same_cause_and_stands_once() -> None:
    original = record(5, 1, MESSAGE, topic="t")
    assert cause_of(original, "g") == cause_of(record(9, 7, MESSAGE, topic="t"), "g")
    assert cause_of(original, "g") != cause_of(original, "other")
    assert cause_of(original, "g") != cause_of(record(5, 1, MESSAGE, b"{1}", topic="t"), "g")
    [one] = merged([letter(0, 10), letter(1, 20)])
    assert (one.id, one.times, one.first_at.timestamp(), one.at.timestamp()) == ("t.dlq~0~0", 2, 0.01, 0.02)


def test_messages_without_a_value_are_distinguished_by_their_position() -> None:
    causes = {cause_of(record(n, 1, [], b"", topic="t"), "g") for n in range(3)}
    assert len(causes) == 3


def test_headers_that_this_software_added_do_not_change_the_cause() -> None:
    added = [*MESSAGE, *own(reason="x")]
    assert cause_of(record(1, 1, MESSAGE), "g") == cause_of(record(1, 1, added), "g")


@pytest.mark.parametrize("how", ["replayed", "dismissed"])
def test_a_marker_closes_what_its_operator_saw(how: str) -> None:
    [one] = merged([letter(0, 10), letter(1, 20), closing(how, 0, 30, 20)])
    assert (one.replayed, one.dismissed) == (how == "replayed", how == "dismissed")
    assert (one.closed_by, one.closed_reason, one.closed_at.timestamp()) == ("otto", "known", 0.03)


def test_a_letter_that_is_refused_again_is_open_even_if_its_record_precedes_the_marker() -> None:
    [one] = merged([letter(0, 10), letter(1, 20), closing("replayed", 0, 30, 10)])
    assert (one.replayed, one.times) == (False, 2)


def test_a_marker_of_a_former_release_closes_the_record_that_it_names() -> None:
    [one] = merged([letter(0, 10), closing("replayed", 0, 30, None)])
    assert one.replayed
    [again] = merged([letter(0, 10), closing("replayed", 0, 15, None), letter(1, 20)])
    assert not again.replayed


def test_a_letter_of_a_former_release_is_its_own_cause() -> None:
    old = [dead_letter(record(n, n, [*MESSAGE, *own(topic="t", reason="r")])) for n in range(2)]
    assert len(merged(old)) == 2


def test_letters_are_grouped_by_code_and_signer() -> None:
    letters = [letter(n, n, cause=str(n)) for n in range(3)] + [letter(9, 9, "x", code="malformed")]
    first, second = grouped(merged(letters))
    assert (first.code, first.count, first.signer, first.example) == (
        "refused",
        3,
        "/publishers/p",
        "t.dlq~0~2",
    )
    assert (second.code, second.count) == ("malformed", 1)
