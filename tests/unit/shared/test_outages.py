"""An outage is logged briefly, and so is what libraries report about it."""

from __future__ import annotations

import io
import json
import logging

import pytest

from shared.foundation.outages import Outage
from shared.foundation.readiness import Readiness
from shared.foundation.telemetry import AtMostOnceAMinute, JsonFormatter


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def test_an_outage_is_one_line_then_one_a_minute_then_one_when_it_ends(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    outage = Outage("Kafka", clock)
    for _ in range(1300):
        outage.report(ConnectionError("refused"))
        clock.now += 0.1
    assert caplog.messages == ["Kafka is unavailable; waiting for it (ConnectionError: refused)"] * 3
    clock.now += 5
    outage.answered()
    outage.answered()
    assert caplog.messages[3:] == ["Kafka is available again after 135 s"]


def test_a_server_that_answers_some_parts_and_refuses_others_is_still_unavailable(
    caplog: pytest.LogCaptureFixture,
) -> None:
    clock = Clock()
    outage = Outage("PostgreSQL", clock)
    for _ in range(100):
        outage.report(ConnectionError("too many clients"))
        clock.now += 0.2
        outage.answered()
    assert len(caplog.messages) == 1


def test_a_reason_that_flips_is_logged_at_most_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    readiness = Readiness()
    with caplog.at_level(logging.INFO):
        for n in range(100):
            readiness.wait("kafka", f"error {n}")
        readiness.clear("kafka")
        for n in range(100):
            readiness.wait("kafka", f"error {n}")
            readiness.clear("kafka")
    assert caplog.messages == ["not ready: kafka: error 0", "ready again: kafka"]


def test_a_librarys_message_is_logged_once_a_minute_with_the_number_left_out() -> None:
    clock, output = Clock(), io.StringIO()
    handler = logging.StreamHandler(output)
    handler.addFilter(AtMostOnceAMinute(("aiokafka",), clock))
    library, own = logging.getLogger("aiokafka.conn"), logging.getLogger("shared.tests.own")
    for logger in (library, own):
        logger.addHandler(handler)
    try:
        for n in range(359):
            library.error("Unable to connect to %s", n)
        own.error("own line")
        own.error("own line")
        clock.now += 60
        library.error("Unable to connect to %s", "b")
    finally:
        for logger in (library, own):
            logger.removeHandler(handler)
    assert output.getvalue().splitlines() == [
        "Unable to connect to 0",
        "own line",
        "own line",
        "Unable to connect to b (358 more of these in the last minute)",
    ]


def test_the_lines_about_what_a_process_waits_for_have_the_reason_in_the_field_error(
    caplog: pytest.LogCaptureFixture,
) -> None:
    Outage("PostgreSQL", Clock()).report(PermissionError("password authentication failed\nDETAIL: a row"))
    Readiness().wait("postgres", "the schema does not exist")
    formatter = JsonFormatter("registry")
    assert [json.loads(formatter.format(record))["error"] for record in caplog.records] == [
        "PermissionError: password authentication failed",
        "the schema does not exist",
    ]
