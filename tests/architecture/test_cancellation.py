"""A loop that handles broad errors and continues re-raises a cancellation that one of them replaced."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BROAD = {"Exception", "CONNECTION_ERRORS", "KAFKA_ERRORS", "TRANSIENT", "OSError"}
FILES = sorted(
    path
    for folder in ("shared", "services")
    for path in Path(folder).rglob("*.py")
    if "local" not in path.parts and "migrations" not in path.parts
)


def handlers(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    """The broad handlers inside endless loops of coroutines."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)):
        for loop in (node for node in ast.walk(function) if isinstance(node, ast.While)):
            if isinstance(loop.test, ast.Constant) and loop.test.value is True:
                for node in ast.walk(loop):
                    if isinstance(node, ast.ExceptHandler) and node.type is not None:
                        names = {n.id for n in ast.walk(node.type) if isinstance(n, ast.Name)}
                        if names & BROAD:
                            yield node


def ends(handler: ast.ExceptHandler) -> bool:
    """Return whether the handler leaves the loop or begins with `raise_if_cancelled()`."""
    if isinstance(handler.body[-1], (ast.Raise, ast.Return, ast.Break)):
        return True
    first = handler.body[0]
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Call)
        and isinstance(first.value.func, ast.Name)
        and first.value.func.id == "raise_if_cancelled"
    )


@pytest.mark.parametrize("path", FILES, ids=str)
def test_every_endless_loop_ends_when_it_is_cancelled(path: Path) -> None:
    swallowing = [handler.lineno for handler in handlers(ast.parse(path.read_text())) if not ends(handler)]
    assert not swallowing, f"{path}: lines {swallowing}: call raise_if_cancelled() first"


def test_the_rule_finds_a_loop_that_swallows() -> None:
    code = (
        "async def f():\n    while True:\n        try:\n            await g()\n"
        "        except OSError:\n            pass\n"
    )
    assert [not ends(handler) for handler in handlers(ast.parse(code))] == [True]
