"""Rules of the tree that import-linter cannot say. Each test names the files that break its rule."""

from __future__ import annotations

import ast
import importlib
import re
import sys
import tomllib
from collections.abc import Callable, Collection, Iterable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
DECIDING = ("registry", "approval", "artifact", "cleanup", "mirror")
SERVICES = (*DECIDING, "audit")
PURE_THIRD_PARTY = {"msgspec", "immutables", "semver", "regista", "cryptography"}
PURE_KERNEL = "shared.deciding."
IMPURE = {
    "asyncio",
    "socket",
    "subprocess",
    "threading",
    "requests",
    "http",
    "time",
    "random",
    "os",
    "logging",
}
UNPICKLERS = {"pickle", "cloudpickle", "joblib", "dill", "marshal", "shelve"}
BUSINESS = ("champion", "artifact", "promotion", "rollout", "retention", "review")
NAMED_IN_THE_KERNEL = {
    "shared/foundation/topics.py": {"artifact"},  # roles and partitions are named after the services
    "shared/http/bodies.py": {
        " bytes. Artifacts are uploaded, not embedded."
    },  # what to do instead of sending a large body
}
WRITES = re.compile(r"\s*(INSERT|UPDATE|DELETE|TRUNCATE|MERGE|COPY)\s")
APPENDS = re.compile(r'INSERT\s+INTO\s+"?log\b')
TABLES = re.compile(
    r'\b(?:FROM|JOIN|INTO|UPDATE|ONLY)\s+"?(?:log"?\."?events_)?'
    r'(registry|access|approval|artifact|cleanup|audit)"?[. ]'
)


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def _code(*folders: str) -> list[Path]:
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


def _of_services(services: Iterable[str], below: str = "") -> list[Path]:
    return _code(*(f"services/{service}/{below}" for service in services))


def _domains() -> list[Path]:
    """Every module of every domain: the folders `domain` below a service, and single files `domain.py`."""
    code = _code("services")
    return [path for path in code if path.name == "domain.py" or "domain" in path.parent.parts]


def _imports(path: Path) -> set[str]:
    found: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found.add(node.module)
    return found


def _texts(path: Path) -> Iterator[str]:
    """Return each string of the code that is not a docstring."""
    documentation = {id(node.value) for node in ast.walk(_tree(path)) if isinstance(node, ast.Expr)}
    return (
        n.value
        for n in ast.walk(_tree(path))
        if isinstance(n, ast.Constant) and isinstance(n.value, str) and id(n) not in documentation
    )


def _names(path: Path) -> Iterator[str]:
    """What the code calls its own: classes, functions, arguments, fields, variables."""
    for node in ast.walk(_tree(path)):
        match node:
            case (
                ast.ClassDef(name=name)
                | ast.FunctionDef(name=name)
                | ast.AsyncFunctionDef(name=name)
                | ast.arg(arg=name)
                | ast.Name(id=name)
            ):
                yield name


def _calls(path: Path) -> set[str]:
    """The methods that are called, as `name.method` where they are called on a name."""
    called: set[str] = set()
    for node in ast.walk(_tree(path)):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            called |= {node.func.attr} | (
                {f"{node.func.value.id}.{node.func.attr}"} if isinstance(node.func.value, ast.Name) else set()
            )
    return called


def _breaking(paths: Iterable[Path], rule: Callable[[Path], Collection[Any]]) -> dict[str, Collection[Any]]:
    """What `rule` finds wrong, by file."""
    return {str(path.relative_to(ROOT)): found for path in paths if (found := rule(path))}


def _impure(name: str) -> bool:
    top = name.partition(".")[0]
    if top in sys.stdlib_module_names:
        return top in IMPURE
    if top == "shared":
        return not name.startswith(PURE_KERNEL)
    if top == "services":
        return "domain" not in name.split(".")
    return top not in PURE_THIRD_PARTY


def test_every_domain_of_the_tree_is_named_in_the_contract_that_keeps_domains_pure() -> None:
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    pure = next(c["source_modules"] for c in contracts if c["name"].startswith("Domains are pure"))
    found = {".".join(p.relative_to(ROOT).with_suffix("").parts) for p in _domains()}
    assert "services.registry.access.domain.roles" in found
    assert {name.partition(".domain")[0] + ".domain" for name in found} == set(pure)


def test_a_domain_imports_neither_frameworks_nor_io() -> None:
    assert _breaking(_domains(), lambda path: {name for name in _imports(path) if _impure(name)}) == {}


def test_a_domain_reads_no_clock_and_draws_no_id() -> None:
    drawn = {"now", "utcnow", "today", "uuid1", "uuid4", "token_hex", "token_urlsafe"}
    assert _breaking(_domains(), lambda path: _calls(path) & drawn) == {}


def test_the_kernel_names_no_business_word() -> None:
    def named(path: Path) -> set[str]:
        return {
            text for text in (*_names(path), *_texts(path)) if any(word in text.lower() for word in BUSINESS)
        }

    assert _breaking(_code("shared"), named) == NAMED_IN_THE_KERNEL


def test_no_module_unpickles() -> None:
    assert _breaking(_code("services", "shared", "sdk/src"), lambda path: _imports(path) & UNPICKLERS) == {}


def test_only_the_batch_of_a_transactor_appends_to_the_log() -> None:
    code = _code("services", "shared")
    assert list(_breaking(code, lambda path: [text for text in _texts(path) if APPENDS.search(text)])) == [
        "shared/log/eventlog.py"
    ]
    assert list(_breaking(code, lambda path: _calls(path) & {"eventlog.append"})) == ["shared/log/batch.py"]


def test_a_service_that_decides_writes_no_row_by_itself() -> None:
    assert (
        _breaking(_of_services(DECIDING), lambda path: [text for text in _texts(path) if WRITES.match(text)])
        == {}
    )


def test_a_service_reads_its_own_tables_only() -> None:
    for service in SERVICES:
        own = {service, "access"} if service == "registry" else {service}
        assert (
            _breaking(
                _of_services([service]),
                lambda path, own=own: {n for text in _texts(path) for n in TABLES.findall(text)} - own,
            )
            == {}
        )


def test_the_server_takes_nothing_of_the_sdk_but_the_wire() -> None:
    def more(path: Path) -> list[str]:
        return [
            name
            for name in _imports(path)
            if name.startswith("regista") and not name.startswith("regista.wire")
        ]

    assert _breaking([*_code("shared"), *_of_services(SERVICES)], more) == {}


@pytest.mark.parametrize("service", SERVICES)
def test_importing_what_starts_a_service_starts_nothing(service: str) -> None:
    importlib.import_module(f"services.{service}.__main__")


def test_every_service_has_the_same_rooms() -> None:
    rooms = {"README.md", "__main__.py", "service.py", "api", "domain"}
    for service in SERVICES:
        there = {
            p.name if p.name.startswith("__") or p.suffix == ".md" or p.name == "service.py" else p.stem
            for p in (ROOT / "services" / service).iterdir()
        }
        assert rooms <= there, f"{service} lacks {rooms - there}"
