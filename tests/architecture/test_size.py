"""Files and functions are short, or have a reason here."""

from __future__ import annotations

import ast
from pathlib import Path

ROOT = Path(__file__).parents[2]
SOURCES = sorted(
    p
    for folder in ("services", "shared", "sdk/src", "tools", "benchmarks")
    for p in (ROOT / folder).rglob("*.py")
)
LINES_OF_A_FILE, LINES_OF_A_FUNCTION = 350, 50
LONGER_FILES = {
    "sdk/src/regista/shapes/approval.py": "written by tools.contracts",
    "sdk/src/regista/shapes/audit.py": "written by tools.contracts",
    "sdk/src/regista/shapes/registry.py": "written by tools.contracts",
    "services/registry/domain/model/events.py": "the events of a model, one class after the other",
    "services/approval/publish.py": "the public events, one class after the other",
    "services/registry/domain/model/fold.py": "the fold of one stream: every event of a model",
    "services/registry/tables.py": "the read models, one table after the other",
    "services/registry/publish.py": "the public events, one class after the other",
    "shared/deciding/access.py": "events, fold and check of identities, which every service reads",
}
LONGER_FUNCTIONS: dict[str, str] = {
    "sdk/src/regista/client/async_client.py::publish": "declares each argument and passes it by name",
}
"""`path::function` → why."""


def test_a_file_is_short_or_has_a_reason() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text("utf-8").splitlines()) for path in SOURCES}
    longer = {name: lines for name, lines in lengths.items() if lines > LINES_OF_A_FILE}
    without_reason = {name: lines for name, lines in longer.items() if name not in LONGER_FILES}
    assert without_reason == {}, "divide it by topic, or give the reason in LONGER_FILES"
    assert LONGER_FILES.keys() <= longer.keys(), "delete the exceptions that are not needed any more"


def test_a_function_is_short_or_has_a_reason() -> None:
    lengths = {
        f"{path.relative_to(ROOT)}::{node.name}": (node.end_lineno or node.lineno) - node.lineno + 1
        for path in SOURCES
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
    longer = {
        name: lines
        for name, lines in lengths.items()
        if lines > LINES_OF_A_FUNCTION and name not in LONGER_FUNCTIONS
    }
    assert longer == {}, "name its parts, or give the reason in LONGER_FUNCTIONS"
