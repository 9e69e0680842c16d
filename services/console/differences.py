"""Where two JSON documents differ, path by path. Gates are compared by their name, not by their position."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Difference:
    """A path with what stands there before and after; None where there is nothing."""

    path: str
    before: Any
    after: Any


def differences(before: Any, after: Any) -> list[Difference]:
    """Return every difference in the order of paths. What is empty on both sides is no difference."""
    was, now = dict(_leaves("", before)), dict(_leaves("", after))
    return [
        Difference(path or "all", was.get(path), now.get(path))
        for path in sorted({*was, *now})
        if was.get(path) != now.get(path)
    ]


def _leaves(path: str, value: Any) -> Iterator[tuple[str, Any]]:
    """Yield each value that is no container, with its path; nothing for empty ones."""
    if isinstance(value, Mapping):
        for name, inner in value.items():
            yield from _leaves(f"{path}.{name}" if path else str(name), inner)
    elif isinstance(value, list) and value and all(isinstance(one, Mapping) for one in value):
        for name, inner in _named(value):
            yield f"{path}[{name}]", True
            yield from _leaves(
                f"{path}[{name}]", {k: v for k, v in inner.items() if k not in {"kind", "name"}}
            )
    elif value is not None and value is not False and value not in ("", []):
        yield path, value


def _named(items: list[Mapping[str, Any]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield each item with the name by which it is compared: its own, its kind's, or its place."""
    seen: dict[str, int] = {}
    for item in items:
        name = str(item.get("name") or item.get("kind") or "")
        seen[name] = seen.get(name, 0) + 1
        yield name if name and seen[name] == 1 else f"{name} {seen[name]}".strip(), item
