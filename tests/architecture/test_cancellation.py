"""Code that handles broad errors and continues re-raises a cancellation that one of them replaced."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

BROAD = {"Exception", "BaseException", "CONNECTION_ERRORS", "KAFKA_ERRORS", "TRANSIENT", "OSError"}
BROAD |= {"PostgresError", "KafkaError", "ConnectionError", "InterfaceError"}
WAITING = (ast.Await, ast.AsyncWith, ast.AsyncFor)
FILES = sorted(
    path
    for folder in ("shared", "services")
    for path in Path(folder).rglob("*.py")
    if "local" not in path.parts and "migrations" not in path.parts
)


ALLOWED = {
    ("services/audit/doctor.py", "examine"): "a command of its own, which Ctrl-C ends",
    ("services/audit/export/process.py", "_exported"): "starting a process fails by no connection",
    ("services/mlflow/service.py", "_caught"): "a request, whose server ends it",
    ("shared/foundation/process_parts.py", "_part"): "it raises what ended the part",
    ("shared/http/batcher.py", "_answer"): "the callers get the error; no one cancels the batch",
    ("shared/http/dispatch.py", "_respond"): "a request, whose server ends it",
}
"""Functions that may end normally after any error, and why."""


def handlers(tree: ast.AST) -> Iterator[tuple[str, ast.ExceptHandler]]:
    """The broad handlers around waiting code of coroutines, which a loop may call, with the function."""
    for function in (node for node in ast.walk(tree) if isinstance(node, ast.AsyncFunctionDef)):
        for tried in (node for node in ast.walk(function) if isinstance(node, ast.Try)):
            waits = any(isinstance(node, WAITING) for part in tried.body for node in ast.walk(part))
            for handler in tried.handlers if waits else ():
                if BROAD & names(handler.type):
                    yield function.name, handler


def names(caught: ast.expr | None) -> set[str]:
    """Return what a handler catches: the last parts of the names. Without a type it catches everything."""
    if caught is None:
        return {"Exception"}
    found = {n.id for n in ast.walk(caught) if isinstance(n, ast.Name)}
    return found | {n.attr for n in ast.walk(caught) if isinstance(n, ast.Attribute)}


def ends(handler: ast.ExceptHandler) -> bool:
    """Return whether the handler raises at its end or begins with `raise_if_cancelled()`."""
    if isinstance(handler.body[-1], ast.Raise):
        return True
    first = handler.body[0]
    return (
        isinstance(first, ast.Expr)
        and isinstance(first.value, ast.Call)
        and isinstance(first.value.func, ast.Name)
        and first.value.func.id == "raise_if_cancelled"
    )


@pytest.mark.parametrize("path", FILES, ids=str)
def test_no_cancellation_is_swallowed(path: Path) -> None:
    swallowing = [
        handler.lineno
        for function, handler in handlers(ast.parse(path.read_text()))
        if not ends(handler) and (str(path), function) not in ALLOWED
    ]
    assert not swallowing, f"{path}: lines {swallowing}: call raise_if_cancelled() first"


@pytest.mark.parametrize("caught", [" OSError", " (asyncpg.PostgresError, Gone)", ""])
@pytest.mark.parametrize("then", ["pass", "return", "fail(batch, error)"])
def test_the_rule_finds_what_swallows(caught: str, then: str) -> None:
    code = f"async def f():\n    try:\n        await g()\n    except{caught}:\n        {then}\n"
    assert [not ends(handler) for _, handler in handlers(ast.parse(code))] == [True]


@pytest.mark.parametrize("function", ALLOWED, ids=str)
def test_what_is_allowed_is_there(function: tuple[str, str]) -> None:
    path, name = function
    assert any(
        found == name and not ends(handler) for found, handler in handlers(ast.parse(Path(path).read_text()))
    )
