"""What commands print: on a terminal of 80 columns, into a pipe, and in the format asked for."""

from __future__ import annotations

import csv
import io
import json
import os
import pty
import re
import subprocess
import sys
from typing import Any

import pytest
import yaml
from starlette.responses import JSONResponse

from regista.cli.terminal.output import as_yaml

from .conftest import API_KEY, Answers, problem

VERSIONS = [
    {
        "model": "churn",
        "number": number,
        "semver": f"1.{number}.0",
        "stage": "Validated",
        "bump_level": "MINOR",
        "bump_rule": "training configuration changed",
        "gates_passed": True,
        "creator": "publisher:nightly-training-of-the-risk-team",
        "registered_at": "2026-03-01T12:00:00.123456Z",
        "legal_hold": "case 4711, the court of arbitration asked for it",
    }
    for number in (10, 9)
]


@pytest.fixture
def listed(answers: Answers) -> Answers:
    answers.fixed["GET", "/v1/models/churn/versions"] = JSONResponse(
        {"items": VERSIONS, "next_page_token": ""}
    )
    return answers


def on_a_terminal(answers: Answers, *words: str, **environment: str) -> tuple[str, int]:
    """Run the command line on a pseudo-terminal of 80 columns; return what it shows, and the exit code."""
    ours, theirs = pty.openpty()
    settings = {
        "REGISTA_URL": answers.url,
        "REGISTA_API_KEY": API_KEY,
        "REGISTA_CONFIG": "/nowhere",
        "REGISTA_USAGE_WINDOW": "0",
        "COLUMNS": "80",
        "TERM": "xterm-256color",
        "PATH": os.environ["PATH"],
        "PYTHONPATH": os.pathsep.join(sys.path),
    }
    command = [sys.executable, "-c", "from regista.cli import main; main()", *words]
    with subprocess.Popen(
        command, env=settings | environment, stdout=theirs, stderr=theirs, stdin=theirs
    ) as ran:
        os.close(theirs)
        shown = b""
        while piece := _read(ours):
            shown += piece
    os.close(ours)
    return shown.decode().replace("\r\n", "\n"), ran.returncode


def without_styles(shown: str) -> str:
    return re.sub(r"\x1b\[[0-9;]*m", "", shown)


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 1 << 16)
    except OSError:  # the other side is closed
        return b""


def test_no_title_is_folded_in_a_word_on_80_columns(listed: Answers) -> None:
    shown, code = on_a_terminal(listed, "versions", "list", "churn", NO_COLOR="1")
    assert code == 0
    shown = without_styles(shown)
    titles = shown.partition("─")[0]
    for title in ("number", "version", "stage", "metric", "bump", "creator", "registered", "remarks"):
        assert title in titles
    assert max(map(len, shown.splitlines())) <= 80


def test_into_a_pipe_go_tab_separated_lines_without_padding(run: Any, listed: Answers) -> None:
    lines = run("versions", "list", "churn").stdout.splitlines()
    assert lines[0] == "number\tversion\tstage\tmetric\tbump\tcreator\tregistered\tremarks"
    assert lines[1].split("\t")[:3] == ["10", "1.10.0", "Validated"]
    assert [line for line in lines if line.endswith(" ")] == []
    assert len(lines) == 3


def test_into_a_pipe_the_fields_of_an_object_are_lines(run: Any, answers: Answers) -> None:
    found = {"model": "churn", "tags": {"domain": "payments", "team": "risk"}, "revision": 7, "owner": ""}
    answers.fixed["GET", "/v1/models/churn"] = JSONResponse(found)
    shown = run("models", "show", "churn").stdout
    assert shown == "model\tchurn\ntags\tdomain: payments\n\tteam: risk\nrevision\t7\n"


@pytest.mark.parametrize(
    "words",
    [
        ("--json", "versions", "list", "churn"),
        ("versions", "-o", "json", "list", "churn"),
        ("versions", "list", "--json", "churn"),
        ("versions", "list", "churn", "--output=json"),
        ("versions", "list", "churn", "--json"),
    ],
)
def test_the_format_may_stand_anywhere(run: Any, listed: Answers, words: tuple[str, ...]) -> None:
    assert json.loads(run(*words).stdout) == VERSIONS


def test_what_follows_two_dashes_is_no_option(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/reviews/r1:comment"] = JSONResponse({})
    assert run("reviews", "comment", "r1", "--", "--json").exit_code == 0
    assert json.loads(answers.of("POST", "/v1/reviews/r1:comment")[0].body) == {"comment": "--json"}


def test_reviews_without_a_command_have_the_formats_too(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reviews"] = JSONResponse(
        {"items": [{"review_id": "r1"}], "next_page_token": ""}
    )
    assert run("reviews", "-o", "name").stdout == "r1\n"
    assert json.loads(run("reviews", "--json").stdout) == [{"review_id": "r1"}]


def test_lists_as_yaml_csv_and_names(run: Any, listed: Answers) -> None:
    assert yaml.safe_load(run("versions", "list", "churn", "-o", "yaml").stdout) == VERSIONS
    rows = list(csv.DictReader(io.StringIO(run("versions", "list", "churn", "-o", "csv").stdout)))
    assert [row["number"] for row in rows] == ["10", "9"]
    assert rows[0]["remarks"] == "legal hold: case 4711, the court of arbitration asked for it"


def test_the_names_of_versions_are_arguments_of_other_commands(run: Any, listed: Answers) -> None:
    assert run("versions", "list", "churn", "-o", "name").stdout == "churn@10\nchurn@9\n"
    listed.fixed["GET", "/v1/models/churn/rollouts/production"] = JSONResponse(
        {"model": "churn", "revision": 2, "entries": [{"number": 9, "percent": 100, "role": "champion"}]}
    )
    assert run("rollout", "show", "churn", "-o", "name").stdout == "churn@9\n"
    listed.fixed["GET", "/v1/usage/churn"] = JSONResponse({"versions": [{"number": 9, "total": 3}]})
    assert run("cleanup", "usage", "churn", "-o", "name").stdout == "churn@9\n"


def test_wide_folds_no_cell(listed: Answers) -> None:
    shown, _ = on_a_terminal(listed, "versions", "list", "churn", "-o", "wide", NO_COLOR="1")
    assert "legal hold: case 4711, the court of arbitration asked for it" in shown
    assert len([line for line in shown.splitlines() if "Validated" in line]) == 2


def test_an_empty_list_is_empty_for_programs(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/models"] = JSONResponse({"items": [], "next_page_token": ""})
    assert json.loads(run("models", "list", "--json").stdout) == []
    assert yaml.safe_load(run("models", "list", "-o", "yaml").stdout) == []
    assert run("models", "list", "-o", "name").stdout == ""
    assert run("models", "list", "-o", "csv").stdout.count("\n") == 1


@pytest.mark.parametrize(
    "value",
    [
        {
            "a": [],
            "b": {},
            "c": [[1, 2], {"d": None}],
            "e f": "yes",
            "1": "012",
            "g": "x: y #z",
            "h": "a\nb é\x85",
        },
        [{"name": "n", "more": {"deep": [1.5, True, "-", "~", ""]}}, "plain", "null", -3],
        "Validated",
    ],
)
def test_yaml_is_read_back_as_it_was(value: Any) -> None:
    assert yaml.safe_load(as_yaml(value)) == value


def test_an_error_is_colored_on_a_terminal_and_not_with_no_color(answers: Answers) -> None:
    answers.fixed["GET", "/v1/models/churn"] = problem(403, "role_missing")
    colored, code = on_a_terminal(answers, "models", "show", "churn")
    assert (code, "\x1b[" in colored) == (5, True)
    shown, _ = on_a_terminal(answers, "models", "show", "churn", NO_COLOR="1")
    assert "role_missing: it is role_missing" in shown
    assert "\x1b[" not in shown
