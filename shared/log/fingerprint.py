"""The fingerprint of the code that makes a state: other code does not use its snapshots.

It covers the source of every module of the project that the given modules import, directly or not, in a
function or at the top, and the releases of Python and of the libraries that they import. It is read from the
import statements, so an import that cannot be followed is an error, never left out.
"""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.metadata
import importlib.util
import sys
import threading
from collections.abc import Iterator
from importlib.machinery import ModuleSpec
from pathlib import Path

OWN = frozenset({"services", "shared", "regista"})
"""Packages whose modules are followed, beside those of the given modules themselves."""

REMEDY = "The code that folds events must be imported by import statements, from modules with a source file."
_DYNAMIC = frozenset({"import_module", "__import__", "exec", "eval"})
_PARSING = threading.Lock()
"""Python 3.11 counts the depth of a parse per interpreter: two threads that parse can get a SystemError."""


class NotCovered(Exception):  # noqa: N818 - names what the code is
    """The fold uses code that its fingerprint cannot cover: a snapshot could outlive a change."""


@functools.cache
def fingerprint(*modules: str) -> str:
    """Return the hex SHA-256 of all that these modules are made of. Raises NotCovered."""
    own = OWN | {_top(name) for name in modules}
    sources: dict[str, bytes] = {}
    libraries: set[str] = set()
    todo = list(modules)
    while todo:
        name = todo.pop()
        if name in sources:
            continue
        sources[name], imports = _read(name)
        for imported in imports:
            if _top(imported) in own:
                todo.append(imported)
            elif _top(imported) not in sys.stdlib_module_names:
                libraries.add(_top(imported))
    digest = hashlib.sha256(repr(sys.version_info[:3]).encode())
    for library in sorted(libraries):
        digest.update(f"\0{library}={_release(library)}".encode())
    for package in {package for name in sources for package in _packages_around(name)} - sources.keys():
        sources[package] = _source(
            package
        )  # it runs before the module; what it offers is imported by name, or not at all
    for name in sorted(sources):
        digest.update(f"\0{name}\0".encode() + sources[name])
    return digest.hexdigest()


def _packages_around(name: str) -> list[str]:
    parts = name.split(".")
    return [".".join(parts[:n]) for n in range(1, len(parts))]


def _top(name: str) -> str:
    return name.partition(".")[0]


@functools.cache
def _read(name: str) -> tuple[bytes, tuple[str, ...]]:
    """Return the source of a module and the modules that it imports."""
    source = _source(name)
    return source, tuple(_imports(name, source))


def _source(name: str) -> bytes:
    spec = _spec(name)
    if spec is not None and spec.origin is None and spec.submodule_search_locations is not None:
        return b""  # a package without __init__
    file = Path(spec.origin) if spec is not None and spec.has_location and spec.origin else None
    if file is None or file.suffix != ".py" or not file.is_file():
        raise NotCovered(f"{name} has no source file. {REMEDY}")
    return file.read_bytes()


def _spec(name: str) -> ModuleSpec | None:
    """Return how a module is loaded; None for what is no module."""
    module = sys.modules.get(name)
    if module is not None and module.__spec__ is not None:
        return module.__spec__
    try:
        return importlib.util.find_spec(name)
    except (ImportError, AttributeError, ValueError):
        return None


def _imports(name: str, source: bytes) -> Iterator[str]:
    """Yield the modules that the source names in import statements, also inside functions."""
    spec = _spec(name)
    package = (
        name if spec is not None and spec.submodule_search_locations is not None else name.rpartition(".")[0]
    )
    with _PARSING:
        tree = ast.parse(source)
    for node in ast.walk(tree):
        match node:
            case ast.Import(names):
                yield from (alias.name for alias in names)
            case ast.ImportFrom(module, names, level):
                origin = (
                    importlib.util.resolve_name("." * level + (module or ""), package)
                    if level
                    else str(module)
                )
                yield origin
                for alias in names:
                    if alias.name == "*":
                        continue
                    if _is_module(f"{origin}.{alias.name}"):
                        yield f"{origin}.{alias.name}"
            case ast.Call(ast.Name(called) | ast.Attribute(attr=called)) if called in _DYNAMIC:
                raise NotCovered(f"{name} calls {called}. {REMEDY}")
            case _:
                pass


def _is_module(name: str) -> bool:
    return _top(name) not in sys.stdlib_module_names and _spec(name) is not None


def _release(library: str) -> str:
    """Return the release of an imported library from its distributions. Raise NotCovered without one."""
    try:
        return importlib.metadata.version(library)
    except importlib.metadata.PackageNotFoundError:
        found = importlib.metadata.packages_distributions().get(library)  # slow: reads every distribution
    if not found:
        raise NotCovered(f"{library} belongs to no installed distribution. {REMEDY}")
    return ",".join(f"{name} {importlib.metadata.version(name)}" for name in sorted(set(found)))
