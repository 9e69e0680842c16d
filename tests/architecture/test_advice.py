"""Advice names commands that exist, with the values that are known instead of placeholders."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from regista.cli import root

ROOT = Path(__file__).parents[2]
SOURCES = sorted(p for folder in ("services", "shared", "sdk/src") for p in (ROOT / folder).rglob("*.py"))
_COMMAND = re.compile(r"`regista ([^`]*)`")
_PLACEHOLDER = re.compile(r"<[a-z_ -]+>|…|(?<![\w{-])[A-Z][A-Z_]+(?![\w}])|\{\{")


def _texts(path: Path) -> Iterator[str]:
    """Yield the texts of a file without docstrings and help; what is inserted in an f-string is `{}`."""
    tree = ast.parse(path.read_text("utf-8"))
    left_out = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
            left_out.add(id(node.value))  # a docstring
        if isinstance(node, ast.keyword) and node.arg in {"examples", "metavar"}:
            left_out |= {id(inner) for inner in ast.walk(node.value)}
    formatted = [node for node in ast.walk(tree) if isinstance(node, ast.JoinedStr)]
    inside = {id(part) for node in formatted for part in ast.walk(node)} - {id(node) for node in formatted}
    for node in ast.walk(tree):
        if id(node) in left_out or id(node) in inside:
            continue
        if isinstance(node, ast.JoinedStr):
            yield "".join(str(v.value) if isinstance(v, ast.Constant) else "{}" for v in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value


ADVICE = [
    (str(path.relative_to(ROOT)), command)
    for path in SOURCES
    for text in _texts(path)
    for command in _COMMAND.findall(text)
]


@pytest.mark.parametrize(("path", "command"), sorted(set(ADVICE)))
def test_a_command_in_advice_exists_and_has_no_placeholder(path: str, command: str) -> None:
    assert not _PLACEHOLDER.search(command), "name what is known, or the command alone"
    found: click.Command = root
    context = click.Context(root)
    for word in command.split():
        if not isinstance(found, click.Group) or not re.fullmatch(r"[a-z][a-z-]*", word):
            break
        inner = found.get_command(context, word)
        assert inner is not None, command
        found = inner
    for option in re.findall(r"(?<!\S)(--?[a-z][a-z-]*)", command):
        assert any(option in parameter.opts + parameter.secondary_opts for parameter in found.params), option


def test_commands_in_advice_were_found() -> None:
    assert len(ADVICE) > 50
