"""Nothing foreign controls the terminal: every command prints hostile answers and errors harmlessly."""

from __future__ import annotations

import ast
import csv
import io
import json
import re
import shlex
from functools import cache
from pathlib import Path
from typing import Any

import click
import pytest
import yaml
from click.testing import CliRunner

import regista
import regista.cli
from regista.cli import COMMANDS, LazyGroup, root
from regista.cli.terminal.output import as_csv, as_json, as_yaml, printable, say
from services.local import lifecycle
from services.local.folders import InstanceFolder
from services.local.logs import readable
from services.local.status import Part, Status
from services.local.status_table import show

from .conftest import Answers

pytestmark = pytest.mark.slow  # walks every command: over a minute in all

HOSTILE = "\x1b]0;pwned\x07\x1b[2J\x9b31m\u202egnp\u2066\u200b\x7f\x85\u2028\rx"
SOURCES = [*Path(regista.cli.__file__).parent.rglob("*.py")]
NUMBERS = {
    "number": 3,
    "revision": 4,
    "percent": 100,
    "size": 5,
    "planned": 1,
    "exported": 1,
    "first": 1,
    "last": 2,
}
OBJECTS = (
    "actor",
    "by",
    "caused_by",
    "changed_by",
    "checkpoint",
    "new",
    "old",
    "promotion",
    "proposal",
    "recalled_from",
)
REVIEWED = {  # the summary of a review
    "requested": {"by": HOSTILE, "reason": HOSTILE},
    "champion": {"number": 3, "semver": HOSTILE},
    "changes": {HOSTILE: [dict.fromkeys(("name", "champion", "candidate", "note"), HOSTILE)]},
    "callers": {"notice": HOSTILE, "breaks": [HOSTILE]},
    "policy": dict.fromkeys(("name", "revision", "approvers", "dependent_because"), HOSTILE)
    | {"roles": [HOSTILE], "machines": {HOSTILE: HOSTILE}},
    "deciders": [
        {"subject": HOSTILE, "may_decide": True},
        {"subject": HOSTILE, "may_decide": False, "why_not": HOSTILE},
    ],
    "sealed": {HOSTILE: HOSTILE},
}
LISTS = (
    "items",
    "previous",
    "skipped",
    "entries",
    "results",
    "versions",
    "events",
    "problems",
    "differences",
    "keys",
    "roles",
    "days",
)


def harmless(shown: str) -> bool:
    """Whether all that is shown is printable, apart from newlines and tabs."""
    return all(c.isprintable() or c in "\n\t" for c in shown)


def _commands(group: click.Group, path: tuple[str, ...] = ()) -> list[tuple[tuple[str, ...], click.Command]]:
    ctx, found = click.Context(group), []
    for name in COMMANDS if isinstance(group, LazyGroup) else group.list_commands(ctx):
        one = group.get_command(ctx, name)
        assert one
        found += _commands(one, (*path, name)) if isinstance(one, click.Group) else [((*path, name), one)]
    return found


def _example(command: click.Command) -> list[str]:
    line = next(line for line in (command.epilog or "").splitlines() if line.strip().startswith("regista "))
    return shlex.split(line.split(" > ")[0].split(" | ")[0])[1:]


@cache
def _answer() -> dict[str, Any]:
    """An object with every field that a command may read, each with hostile text, also nested."""
    texts = {
        node.value
        for file in SOURCES
        for node in ast.walk(ast.parse(file.read_text()))
        if isinstance(node, ast.Constant)
        and isinstance(node.value, str)
        and re.fullmatch(r"[a-z_]+", node.value)
    }
    flat: dict[str, Any] = dict.fromkeys(sorted(texts), HOSTILE) | {HOSTILE: HOSTILE} | NUMBERS
    nested = (
        flat
        | {name: [flat, HOSTILE][:1] for name in LISTS}
        | {
            "tags": {HOSTILE: HOSTILE},
            "waits_for": [HOSTILE],
            "names": {HOSTILE: HOSTILE},
            **dict.fromkeys(OBJECTS, flat),
            "policy": {HOSTILE: HOSTILE},
            "verdicts": {HOSTILE: 3},
            "rollouts": [flat],
            "summary": REVIEWED | dict.fromkeys(("creator", "run_url"), HOSTILE),
            "approvers": [HOSTILE],
            "excluded": [HOSTILE],
            "conditions": [HOSTILE],
        }
    )
    return nested | {name: [nested] for name in ("items", "results", "versions")} | {"next_page_token": ""}


WALKED = [pytest.param(words, command, id=" ".join(words)) for words, command in _commands(root)]


@pytest.mark.parametrize(("words", "command"), WALKED)
@pytest.mark.parametrize("form", [[], ["--json"]], ids=" ".join)
def test_a_command_prints_hostile_answers_harmlessly(
    run: Any,
    answers: Answers,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    words: Any,
    command: Any,
    form: Any,
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("model.onnx", "run.json", "policy.yaml", "retention.json", "patch.json"):
        (tmp_path / name).write_text("{}")
    answers.any = _answer()
    example = [word.replace("https://mlflow.example.com", answers.url) for word in _example(command)]
    done = run(*example, *form, typed="y\n")
    assert harmless(done.output)
    answers.any = None
    answers.refusal = {
        "code": HOSTILE,
        "status": 409,
        "detail": HOSTILE,
        "problems": [{"field": HOSTILE, "problem": HOSTILE}],
    }
    done = run(*example, *form, typed="y\n")
    assert harmless(done.output)


@pytest.mark.parametrize(("words", "command"), WALKED)
def test_a_command_prints_its_own_hostile_arguments_harmlessly(
    run: Any, answers: Answers, words: Any, command: Any
) -> None:
    answers.any = _answer()
    arguments = [a for a in command.params if isinstance(a, click.Argument)]
    for done in (
        run(*words, *[HOSTILE] * len(arguments)),
        run(*words, f"--{HOSTILE}"),
        run(*words, *[HOSTILE] * 9),
    ):
        assert harmless(done.output)


LISTED = [
    ["models", "list"],
    ["versions", "list", "churn"],
    ["reviews"],
    ["reviews", "show", "r1"],
    ["timeline", "churn"],
    ["alias", "list", "churn"],
    ["dlq", "list"],
    ["cleanup", "list"],
    ["policy", "list"],
    ["rollout", "show", "churn"],
    ["models", "show", "churn"],
    ["versions", "show", "churn@3"],
    ["versions", "refused"],
    ["policy", "show", "team"],
    ["rollout", "route", "churn", "--key", "k"],
    ["promote", "churn@3", "--reason", "r"],
    ["rollback", "churn", "--reason", "r"],
    ["cleanup", "usage", "churn"],
    ["audit", "log-checkpoints"],
    ["access", "identity", "list"],
    ["dlq", "show", "regista.training.v1.dlq~0~17"],
]


@pytest.mark.parametrize("words", LISTED, ids=" ".join)
def test_the_walk_shows_what_was_answered(run: Any, answers: Answers, words: Any) -> None:
    """Otherwise a command that fails before it prints would pass."""
    answers.any = _answer()
    assert "pwned" in run(*words).output, run(*words).output


@pytest.mark.parametrize("form", [as_json, as_yaml])
def test_json_and_yaml_say_the_same_with_escapes(form: Any) -> None:
    value = {"a": [HOSTILE, "über 模型 😀\U000e0041"], HOSTILE: 1.5}
    written = form(value)
    assert harmless(written)
    assert (json.loads if form is as_json else yaml.safe_load)(written) == value
    assert "über 模型 😀" in written


def test_csv_has_neither_control_characters_nor_formulas() -> None:
    cells = ["=1+1", "+x", "-x", "@sum", "-0.5", "+1e3", "-inf", "1.0.0", HOSTILE]
    written = as_csv(
        [{"a": cell, "b": number} for number, cell in enumerate(cells)], [("a", "a"), ("b", "b")]
    )
    assert harmless(written)
    found = [row["a"] for row in csv.DictReader(io.StringIO(written))]
    assert found[:8] == ["'=1+1", "'+x", "'-x", "'@sum", "-0.5", "+1e3", "-inf", "1.0.0"]


def test_logs_print_hostile_lines_harmlessly(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    folder = InstanceFolder(tmp_path)
    (tmp_path / "logs").mkdir()
    fields = {
        "time": "2026-11-29T12:00:00.000Z",
        "level": "INFO",
        "message": HOSTILE,
        "model": HOSTILE,
        "error": f"why: {HOSTILE}",
    }
    lines = [json.dumps(fields, ensure_ascii=False), HOSTILE, json.dumps(fields)]
    folder.log("kafka").write_text("\n".join(lines) + "\n", newline="")
    lifecycle.show_logs(folder, lambda: False, ["kafka"], 20)
    shown = capsys.readouterr().out
    assert shown.count("pwned") == 7
    assert shown.count("kafka │") == 3, "a line separator in a text begins no line"
    assert harmless(shown)
    assert HOSTILE in readable(lines[0])


def test_the_status_prints_hostile_reasons_harmlessly(capsys: pytest.CaptureFixture[str]) -> None:
    reason = f"[red]{HOSTILE}"
    parts = [
        Part("registry", HOSTILE, running=True, ready=False, why=reason, pid=1, up=1, exits=0, resident=1)
    ]
    show(Status("running", reason, parts, consumers={reason: {reason: 3}}, unknown={"relays": reason}))
    shown = capsys.readouterr().out
    assert harmless(shown)
    assert "[red]" in shown, "text is no markup"


def test_everything_that_the_command_line_prints_goes_through_one_door() -> None:
    local = Path(lifecycle.__file__).parent
    files = [*SOURCES, *(local / f"{name}.py" for name in ("commands", "lifecycle", "logs", "status_table"))]
    door = re.compile(
        r"\bclick\.(s?echo|confirm|prompt|style|echo_via_pager)\(|(?<![\w.])print\(|std(out|err)\.write"
    )
    found = [
        f"{f.name}: {line.strip()}" for f in files for line in f.read_text().splitlines() if door.search(line)
    ]
    assert found == [
        f"output.py: click.secho({printable.__name__}(value), err=err, nl=nl, color=colors(), **style)",
        "session.py: click.confirm(printable(question), abort=True)",
    ]
    assert say.__module__ == "regista.cli.terminal.output"


def test_a_plug_in_that_cannot_be_loaded_is_named_harmlessly() -> None:
    done = CliRunner().invoke(root, [HOSTILE])
    assert harmless(done.output)
