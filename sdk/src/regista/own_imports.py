"""What the SDK imports for itself: it is no part of the environment of a training."""

from __future__ import annotations

import contextlib
import functools
import re
import sys
from collections.abc import Iterator
from importlib import metadata

ROOTS = ("regista", "ipykernel", "ipython")
"""Distributions that are left out with all they require: the SDK, and what runs a notebook."""
EXTRAS = frozenset({"kafka"})
_REQUIRED = ("click", "cryptography", "httpx", "msgspec", "rfc8785", "rich", "aiokafka", "cramjam")
"""Requirements of the SDK where it is not installed as a distribution."""
_modules: set[str] = set()


@contextlib.contextmanager
def own() -> Iterator[None]:
    """Note the modules that are imported in this block as the SDK's own; those imported before are not."""
    before = set(sys.modules)
    try:
        yield
    finally:
        _modules.update({name.partition(".")[0] for name in set(sys.modules) - before})


def modules_of_training() -> set[str]:
    """Return the imported modules, without the SDK's own."""
    return {name.partition(".")[0] for name in list(sys.modules)} - _modules


@functools.cache
def own_distributions() -> frozenset[str]:
    """Return the canonical names of the distributions that only the SDK or a notebook needs."""
    found: set[str] = set()
    waiting = [*ROOTS, *_REQUIRED]
    while waiting:
        name = canonical(waiting.pop())
        if name not in found:
            found.add(name)
            waiting += _requirements(name)
    return frozenset(found)


def _requirements(name: str) -> list[str]:
    try:
        lines = metadata.requires(name) or []
    except metadata.PackageNotFoundError:
        return []
    required = []
    for line in lines:
        extra = re.search(r"extra\s*==\s*['\"]([^'\"]+)", line)
        if extra is None or (name == "regista" and extra[1] in EXTRAS):
            required.append(re.split(r"[\s;\[<>=!~(]", line, maxsplit=1)[0])
    return required


def canonical(name: str) -> str:
    """Return the name of a distribution in its canonical spelling."""
    return re.sub(r"[-_.]+", "-", name).lower()
