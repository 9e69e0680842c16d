"""A POST that a client repeats because no answer reached it."""

from __future__ import annotations

import time

from services.mlflow.repeats import KEPT, Repeats, digest_of, is_old


def test_an_equal_request_after_an_answer_is_a_new_one():
    repeats = Repeats()
    assert repeats.first("a") == 0
    repeats.answered("a", 0)
    assert (repeats.first("a"), repeats.first("b")) == (1, 0)


def test_a_request_whose_answer_was_lost_keeps_its_number():
    repeats = Repeats()
    assert [repeats.first("a"), repeats.first("a")] == [0, 0]


def test_the_oldest_counts_are_dropped():
    repeats = Repeats()
    for number in range(KEPT + 1):
        repeats.answered(str(number), 0)
    assert [repeats.first("0"), repeats.first("1")] == [0, 1]


def test_the_digest_covers_caller_and_body_whatever_the_order_of_fields():
    assert digest_of("k", {"a": 1, "b": 2}) == digest_of("k", {"b": 2, "a": 1})
    assert len({digest_of("k", 1), digest_of("l", 1), digest_of("k", 2)}) == 3


def test_a_version_of_an_hour_ago_answers_no_repetition():
    now = int(time.time() * 1000)
    assert (is_old(now - 3_600_000), is_old(now)) == (True, False)
