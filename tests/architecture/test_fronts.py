"""What a service refuses is read at the console, on a command line and by programs: it names no request."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from regista.errors import from_problem
from services.console.rendering import LIST_PAGES

ROOT = Path(__file__).parents[2]
REQUEST = re.compile(r"\b(GET|POST|PUT|PATCH|DELETE) /|\bat /v1/")
CLIENTS_ONLY = {
    "shared/http/callers.py": "the CLI and the console record a sign-in by themselves",
    "shared/deciding/acting.py": "the CLI and the console record a sign-in by themselves",
    "services/registry/access/api/exchange.py": "the attempt that is noted is the request",
}
"""Texts that only programs of others read, or that are about a request."""


def _texts(tree: ast.AST) -> Iterator[str]:
    documentation = {id(n.value) for n in ast.walk(tree) if isinstance(n, ast.Expr)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in documentation:
            yield node.value


def test_no_text_of_a_service_names_a_request_of_the_http_api() -> None:
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in ("services", "shared")
        for path in sorted((ROOT / folder).rglob("*.py"))
        if any(REQUEST.search(text) for text in _texts(ast.parse(path.read_text("utf-8"))))
    }
    assert found == set(CLIENTS_ONLY)


def test_the_command_line_and_the_console_know_each_list_that_a_service_names() -> None:
    without_page = {"/v1/mirrors", "/v1/log-checkpoints", "/v1/history", "/v1/dlq"}
    named = {
        path
        for folder in ("services", "shared")
        for file in (ROOT / folder).rglob("*.py")
        for path in re.findall(r'listed_at="([^"?]+)', file.read_text("utf-8"))
    }
    assert named - LIST_PAGES.keys() == without_page
    advice = {from_problem(404, {"code": "unknown", "listed_at": path}).advice for path in named}
    assert [text for text in advice if not text.startswith("`regista ")] == []
    assert len(advice) == len(named)
