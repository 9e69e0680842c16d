"""Rules of the tree that import-linter cannot say."""

from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SERVICES = ("registry", "approval", "artifact", "cleanup", "audit")
DOMAINS = sorted(p for s in SERVICES for p in (ROOT / "services" / s / "domain").rglob("*.py"))
PURE_THIRD_PARTY = {"msgspec", "immutables", "semver", "regista", "cryptography"}
PURE_KERNEL = {"shared.decider", "shared.events", "shared.access"}
BUSINESS = ("champion", "artifact", "promotion", "rollout", "retention", "review")


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("path", DOMAINS, ids=_id)
def test_a_domain_imports_neither_frameworks_nor_io(path: Path) -> None:
    impure_std = {"asyncio", "socket", "subprocess", "threading", "requests", "http", "time", "random", "os", "logging"}
    for name in _imports(path):
        top = name.partition(".")[0]
        if top in sys.stdlib_module_names:
            assert top not in impure_std, f"{name}: time, ids and digests come in on the command"
        elif top == "shared":
            assert name in PURE_KERNEL, name
        elif top == "services":
            assert ".domain" in name, name
        else:
            assert top in PURE_THIRD_PARTY, name


@pytest.mark.parametrize("path", sorted((ROOT / "shared").glob("*.py")), ids=_id)
def test_the_kernel_names_no_business_word(path: Path) -> None:
    names = {
        n.name.lower() for n in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(n, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
    }
    assert not [(name, word) for name in names for word in BUSINESS if word in name]


@pytest.mark.parametrize("path", sorted(p for d in ("services", "shared") for p in (ROOT / d).rglob("*.py")), ids=_id)
def test_only_the_kernel_commits_and_nobody_unpickles(path: Path) -> None:
    names = _imports(path)
    assert not names & {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}
    if path.is_relative_to(ROOT / "services") and "log.events" in path.read_text("utf-8"):
        assert "INSERT INTO log.events" not in path.read_text("utf-8")


def test_every_service_has_the_same_rooms() -> None:
    rooms = {"README.md", "__main__.py", "service.py", "api", "domain"}
    for service in SERVICES:
        there = {
            p.name if p.name.startswith("__") or p.suffix == ".md" or p.name == "service.py" else p.stem
            for p in (ROOT / "services" / service).iterdir()
        }
        assert rooms <= there, f"{service} lacks {rooms - there}"


@pytest.mark.parametrize("path", sorted(p for d in ("shared", *(f"services/{s}" for s in SERVICES)) for p in (ROOT / d).rglob("*.py")), ids=_id)
def test_the_server_takes_nothing_of_the_sdk_but_the_wire(path: Path) -> None:
    assert [name for name in _imports(path) if name.startswith("regista") and not name.startswith("regista.wire")] == []
