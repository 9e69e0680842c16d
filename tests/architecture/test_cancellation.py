"""A loop that handles broad errors and continues re-raises a cancellation that one of them replaced."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BROAD = {"Exception", "BaseException", "CONNECTION_ERRORS", "KAFKA_ERRORS", "TRANSIENT", "OSError"}
BROAD |= {"PostgresError", "KafkaError", "ConnectionError", "InterfaceError"}
FILES = sorted(
    path
    for folder in ("shared", "services")
    for path in Path(folder).rglob("*.py")
    if "local" not in path.parts and "migrations" not in path.parts
)


def handlers(tree: ast.AST) -> Iterator[ast.ExceptHandler]:
    """The broad handlers inside loops of coroutines: `while`, whatever its condition, and `async for`."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)):
        for loop in (node for node in ast.walk(function) if isinstance(node, (ast.While, ast.AsyncFor))):
            for node in ast.walk(loop):
                if isinstance(node, ast.ExceptHandler) and BROAD & names(node.type):
                    yield node


def names(caught: ast.expr | None) -> set[str]:
    """Return what a handler catches: the last parts of the names. Without a type it catches everything."""
    if caught is None:
        return {"Exception"}
    found = {n.id for n in ast.walk(caught) if isinstance(n, ast.Name)}
    return found | {n.attr for n in ast.walk(caught) if isinstance(n, ast.Attribute)}


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
def test_every_loop_ends_when_it_is_cancelled(path: Path) -> None:
    swallowing = [handler.lineno for handler in handlers(ast.parse(path.read_text())) if not ends(handler)]
    assert not swallowing, f"{path}: lines {swallowing}: call raise_if_cancelled() first"


@pytest.mark.parametrize("loop", ["while True", "while not stop.is_set()", "async for one in all()"])
@pytest.mark.parametrize("caught", [" OSError", " (asyncpg.PostgresError, Gone)", ""])
def test_the_rule_finds_a_loop_that_swallows(loop: str, caught: str) -> None:
    code = (
        f"async def f():\n    {loop}:\n        try:\n            await g()\n"
        f"        except{caught}:\n            pass\n"
    )
    assert [not ends(handler) for handler in handlers(ast.parse(code))] == [True]
