from __future__ import annotations

import json
import logging
import sys

import asyncpg
import pytest

from shared.foundation.readiness import Readiness
from shared.foundation.telemetry import (
    JsonFormatter,
    Tracer,
    current_trace,
    error_summary,
    without_secrets,
)

PARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


@pytest.mark.parametrize(
    ("text", "kept"),
    [
        ("key rg_abc123_TOPSECRET refused", "rg_abc123_***"),
        ("postgresql://regista:TOPSECRET@host/db", "postgresql://regista:***@host/db"),
        ('password="TOPSECRET"', "password"),
        ("Authorization: Bearer rg_k_TOPSECRET", "rg_k_***"),
        ("Authorization: Bearer eyJhbGci.TOPSECRET.c2ln refused", "Bearer *** refused"),
        ("got the token eyJhbGci.TOPSECRET.c2ln", "got the token ***"),
        ("authorization=TOPSECRET", "authorization=***"),
        ("Basic TOPSECRET", "Basic ***"),
        ("postgresql://regista:TOP@SECRET@host/db", "postgresql://regista:***@host/db"),
        ("s3_secret_key=TOPSECRET, bucket=b", "s3_secret_key=***, bucket=b"),
        ("https://host/?api_key=TOPSECRET&page=2", "api_key=***&page=2"),
        ('{"user": "anna", "password": "TOPSECRET"}', '{"user": "anna", "password": "***"}'),
        (r'"{\"password\":\"TOPSECRET\"}"', "password"),
        ("{'kafka_password': 'TOPSECRET'}", "'kafka_password': '***'"),
    ],
)
def test_no_secret_reaches_a_log(text: str, kept: str) -> None:
    record = logging.makeLogRecord(
        {"msg": "%s", "args": (text,), "copy": text, "inner": [{"password": "TOPSECRET", "why": text}]}
    )
    for output in (without_secrets(text), JsonFormatter("registry").format(record)):
        assert "SECRET" not in output
        assert kept in output.replace("\\", "")


def test_a_text_without_secrets_stays_as_it_is() -> None:
    text = "The secret is out: see https://host/a?b=c, mail anna@example.org, page 2 of 3"
    assert without_secrets(text) == text


def test_an_error_summary_holds_only_the_first_line() -> None:
    error = asyncpg.UniqueViolationError("duplicate key value\nDETAIL:  Key (name)=(private) already exists.")
    assert error_summary(error) == "UniqueViolationError: duplicate key value"
    assert error_summary(TimeoutError()) == "TimeoutError"


def test_a_log_line_is_json_with_its_extras_its_error_and_its_trace() -> None:
    try:
        int("rg_k_TOPSECRET")
    except ValueError:
        record = logging.getLogger("x").makeRecord(
            "x",
            logging.WARNING,
            "f",
            1,
            "done %s",
            ("this",),
            sys.exc_info(),
            extra={"stream": "model-1", "odd": {1}},
        )
    with Tracer().span("work", PARENT):
        line = JsonFormatter("registry").format(record)
    read = json.loads(line)
    assert (read["message"], read["level"], read["service"], read["stream"]) == (
        "done this",
        "warning",
        "registry",
        "model-1",
    )
    assert read["trace"] == PARENT[3:35]
    assert read["error"].startswith("ValueError: ")
    assert "Traceback" in read["traceback"]
    assert "TOPSECRET" not in line
    assert "\n" not in line


def test_work_without_a_parent_begins_a_trace_and_what_it_calls_belongs_to_it() -> None:
    tracer = Tracer()
    with tracer.span("outer") as outer:
        assert current_trace() == outer
        with tracer.span("inner") as inner:
            assert inner == outer
        with tracer.span("message", PARENT) as other:
            assert other == PARENT
    assert current_trace() == ""


@pytest.mark.parametrize("parent", ["nonsense", "00-0-0-00", PARENT.upper(), PARENT + "x"])
def test_an_invalid_traceparent_begins_a_new_trace(parent: str) -> None:
    with Tracer().span("work", parent) as trace:
        assert trace != parent
        assert len(trace) == len(PARENT)


def test_a_process_is_ready_when_no_part_waits() -> None:
    readiness = Readiness()
    readiness.wait("kafka", "unreachable")
    readiness.wait("postgres", "unreachable")
    readiness.clear("kafka")
    readiness.clear("never waited")
    assert readiness.reasons == {"postgres": "unreachable"}
    readiness.clear("postgres")
    assert readiness.reasons == {}
