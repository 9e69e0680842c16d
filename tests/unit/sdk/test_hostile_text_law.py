"""The law: no text from outside reaches a terminal, a log line or CSV with a character that controls it."""

from __future__ import annotations

import csv
import io
import json
import logging

import pytest
import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from regista.cli.terminal.output import as_csv, as_json, as_yaml, one_line, printable
from shared.foundation.telemetry import JsonFormatter

CONTROLS = "\x00\x07\x1b\x7f\x85\x9b\u061c\u200b\u200f\u2028\u202e\u2066\ufeff\U000e0041\r\n\t=+-@,;\"'"
TEXTS = st.text(
    st.one_of(st.characters(), st.sampled_from(CONTROLS), st.characters(categories=["Cc", "Cf", "Cs"]))
)
WHOLE = st.text(st.one_of(st.characters(exclude_categories=["Cs"]), st.sampled_from(CONTROLS)))
"""Texts without halves of surrogate pairs, which no JSON from outside can hold."""


def shows_as_it_is(written: str) -> bool:
    return all(c.isprintable() for line in written.split("\n") for c in line.replace("\t", ""))


@given(TEXTS)
@example(CONTROLS)
def test_what_a_terminal_gets_is_printable(text: str) -> None:
    assert shows_as_it_is(printable(text))
    assert printable(printable(text)) == printable(text)
    assert "\n" not in one_line(text)


@given(st.dictionaries(WHOLE, st.one_of(WHOLE, st.lists(WHOLE, max_size=2)), max_size=3))
def test_json_and_yaml_are_printable_and_are_read_back_unchanged(value: dict[str, object]) -> None:
    assert shows_as_it_is(as_json(value))
    assert json.loads(as_json(value)) == value
    assert shows_as_it_is(as_yaml(value))
    assert yaml.safe_load(as_yaml(value)) == value


@given(st.lists(TEXTS, min_size=1, max_size=4))
@example([CONTROLS])
def test_csv_is_printable_has_one_line_for_each_item_and_no_formula(cells: list[str]) -> None:
    written = as_csv([{"a": cell, "b": 1} for cell in cells], [("a", "a"), ("b", "b")])
    assert shows_as_it_is(written)
    rows = list(csv.reader(io.StringIO(written)))
    assert [row[1] for row in rows] == ["b", *["1"] * len(cells)]
    for row in rows:
        number = row[0].strip("+-").replace(".", "").replace("e", "").isalnum() or row[0] == "-"
        assert number or not row[0].startswith(("=", "+", "-", "@", "\t", "\r"))


@given(TEXTS, WHOLE)
@example(CONTROLS, CONTROLS)
@example("half of a pair: \udc80", "")
@pytest.mark.parametrize("logger", ["services", "regista.access"])
def test_a_line_of_the_log_is_one_printable_line_of_json(logger: str, text: str, extra: str) -> None:
    record = logging.LogRecord(logger, logging.INFO, "f.py", 1, "%s", (text,), None)
    record.__dict__["subject"] = extra
    line = JsonFormatter("registry").format(record)
    assert line.isprintable()
    assert json.loads(line)["logger"] == logger


def test_a_text_in_a_line_of_the_log_is_read_back_unchanged() -> None:
    record = logging.LogRecord("services", logging.INFO, "f.py", 1, "%s", (f"über 模型 😀{CONTROLS}",), None)
    assert json.loads(JsonFormatter("registry").format(record))["message"] == f"über 模型 😀{CONTROLS}"
