"""Every table of the command line on a terminal of 80 columns and in a pipe; the choice of colors."""

from __future__ import annotations

import ast
import io
from pathlib import Path
from typing import Any

import click
import pytest

import regista.cli
from regista.cli.terminal.output import colors, print_table, say

FOLDER = Path(regista.cli.__file__).parent


class Terminal(io.StringIO):
    """A file that is a terminal."""

    def isatty(self) -> bool:
        return True


def _tables() -> list[Any]:
    """Return the titles of every list of columns in the sources: lists of pairs that begin with a text."""
    found = []
    for file in sorted(FOLDER.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.List) and len(node.elts) > 1 and all(map(_is_column, node.elts)):
                titles = [element.elts[0].value for element in node.elts]  # type: ignore[attr-defined]
                found.append(pytest.param(titles, id=f"{file.relative_to(FOLDER)}:{node.lineno}"))
    return found


def _is_column(node: ast.expr) -> bool:
    return (
        isinstance(node, ast.Tuple)
        and len(node.elts) == 2
        and isinstance(node.elts[0], ast.Constant)
        and isinstance(node.elts[0].value, str)
    )


TABLES = _tables()


def shown(
    monkeypatch: pytest.MonkeyPatch, out: io.StringIO, titles: list[str], cell: str, *, wide: bool = False
) -> list[str]:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setattr("sys.stdout", out)
    print_table([dict.fromkeys(titles, cell)] * 2, [(title, title) for title in titles], wide=wide)
    return out.getvalue().splitlines()


def test_the_sources_have_tables() -> None:
    assert len(TABLES) > 25


@pytest.mark.parametrize("titles", TABLES)
@pytest.mark.parametrize(
    "cell", ["3", "a value of some words", "publisher:nightly-training-of-the-risk-team"]
)
def test_no_title_is_folded_in_a_word_and_no_line_is_longer_than_the_terminal(
    monkeypatch: pytest.MonkeyPatch, titles: list[str], cell: str
) -> None:
    lines = shown(monkeypatch, Terminal(), titles, cell)
    head = "\n".join(lines).partition("─")[0].split()
    assert sorted(head) == sorted(word for title in titles for word in title.split())
    assert max(map(len, lines)) <= 80


@pytest.mark.parametrize("titles", TABLES[:3])
@pytest.mark.parametrize("wide", [False, True])
def test_in_a_pipe_lines_are_tab_separated_and_never_cut(
    monkeypatch: pytest.MonkeyPatch, titles: list[str], wide: bool
) -> None:
    lines = shown(monkeypatch, io.StringIO(), titles, "word " * 60 + "end", wide=wide)
    assert lines[0] == "\t".join(titles)
    assert lines[1:] == ["\t".join(["word " * 60 + "end"] * len(titles))] * 2


@pytest.mark.parametrize(
    ("environment", "wanted"),
    [
        ({}, None),
        ({"NO_COLOR": "1"}, False),
        ({"NO_COLOR": ""}, None),
        ({"CLICOLOR_FORCE": "1"}, True),
        ({"CLICOLOR_FORCE": "0"}, None),
        ({"CLICOLOR": "0"}, False),
        ({"CLICOLOR": "0", "CLICOLOR_FORCE": "1"}, True),
        ({"NO_COLOR": "1", "CLICOLOR_FORCE": "1"}, False),
    ],
)
def test_the_environment_chooses_colors(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], wanted: bool | None
) -> None:
    for name in ("NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert colors() is wanted


@pytest.mark.parametrize(("name", "colored"), [("CLICOLOR_FORCE", True), ("NO_COLOR", False)])
def test_colors_in_a_pipe_are_chosen_by_the_environment(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, colored: bool
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv(name, "1")
    say("refused", fg="red", err=True)
    assert (click.unstyle(found := capsys.readouterr().err), "\x1b[" in found) == ("refused\n", colored)


def test_no_color_leaves_no_styles_in_a_table(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "\x1b[" not in "\n".join(shown(monkeypatch, Terminal(), ["name", "kind"], "x"))
