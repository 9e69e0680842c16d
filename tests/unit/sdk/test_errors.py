"""Codes are an interface: programs compare them."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import regista
from regista import errors


def _codes() -> set[str]:
    """The codes that the client's own sources give to errors."""
    found = set()
    for file in Path(regista.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if (
                isinstance(node, ast.Call)
                and isinstance(node.func, ast.Name)
                and hasattr(errors, node.func.id)
                and len(node.args) > 1
            ):
                code = node.args[0].values[0] if isinstance(node.args[0], ast.JoinedStr) else node.args[0]
                found |= (
                    {code.value} if isinstance(code, ast.Constant) and isinstance(code.value, str) else set()
                )
    return found


def test_the_clients_codes_are_written_as_the_services_write_theirs() -> None:
    codes = _codes()
    assert len(codes) > 20
    assert [code for code in codes if not re.fullmatch(r"[a-z][a-z_]+", code)] == []
