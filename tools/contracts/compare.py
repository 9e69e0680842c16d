"""Find what a change of a JSON Schema breaks for readers, or writers, of the old one. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Literal

Side = Literal["readers", "writers"]
Schema = Mapping[str, Any]

LIMITS = {
    "maxLength": 1,
    "maximum": 1,
    "maxItems": 1,
    "exclusiveMaximum": 1,
    "minLength": -1,
    "minimum": -1,
    "minItems": -1,
    "exclusiveMinimum": -1,
}
"""Limits and the direction in which they widen."""


def breaking(old: Schema, new: Schema, side: Side) -> list[str]:
    """Return why `new` breaks `side`.

    Readers of the old schema must understand every new message; writers by the old one must still be
    accepted.
    """
    accepted, sent = (old, new) if side == "readers" else (new, old)
    return sorted(set(_narrower(_Node(accepted, accepted), _Node(sent, sent), "$")))


class _Node:
    """A part of a schema, with the document that its references point into."""

    def __init__(self, schema: Schema, root: Schema) -> None:
        while "$ref" in schema:
            schema = root["$defs"][schema["$ref"].rpartition("/")[2]]
        self.schema, self.root = schema, root

    def at(self, schema: Schema) -> _Node:
        return _Node(schema, self.root)

    @property
    def options(self) -> list[_Node]:
        """The alternatives of an anyOf, else itself."""
        return [self.at(one) for one in self.schema["anyOf"]] if "anyOf" in self.schema else [self]

    @property
    def types(self) -> set[str]:
        found = self.schema.get("type")
        if found is None:
            return set()
        return set(found) if isinstance(found, list) else {found}


def _narrower(
    accepted: _Node, sent: _Node, where: str, seen: frozenset[tuple[int, int]] = frozenset()
) -> Iterator[str]:
    """Yield each way in which a value that `sent` allows is not accepted."""
    pair = (id(accepted.schema), id(sent.schema))
    if pair in seen:
        return
    seen |= {pair}
    for option in sent.options:
        problems = [list(_one(candidate, option, where, seen)) for candidate in accepted.options]
        if all(problems):
            yield from min(problems, key=len)


def _one(accepted: _Node, sent: _Node, where: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
    a, s = accepted.schema, sent.schema
    if accepted.types and not sent.types <= accepted.types | (
        {"integer"} if "number" in accepted.types else set()
    ):
        yield f"{where}: {_types_of(sent)} where {_types_of(accepted)} was understood"
        return
    if (known := _values(a)) is not None:
        sent_values = _values(s)
        if sent_values is None or not sent_values <= known:
            yield f"{where}: values outside {sorted(known)}"
    for limit, widens in LIMITS.items():
        if limit in a and (limit not in s or (s[limit] - a[limit]) * widens > 0):
            yield f"{where}: beyond {limit} {a[limit]}"
    if "pattern" in a and s.get("pattern") != a["pattern"]:
        yield f"{where}: another pattern than {a['pattern']}"
    yield from _members(accepted, sent, where, seen)
    if "items" in a and "items" in s:
        yield from _narrower(accepted.at(a["items"]), sent.at(s["items"]), f"{where}[]", seen)


def _members(accepted: _Node, sent: _Node, where: str, seen: frozenset[tuple[int, int]]) -> Iterator[str]:
    a, s = accepted.schema, sent.schema
    needed, given = a.get("properties", {}), s.get("properties", {})
    for name in sorted(set(a.get("required", ())) - set(s.get("required", ()))):
        yield f"{where}.{name}: needed, and no longer always there"
    if a.get("additionalProperties") is False:
        for name in sorted(set(given) - set(needed)):
            yield f"{where}.{name}: not accepted"
    for name in sorted(set(needed) & set(given)):
        yield from _narrower(accepted.at(needed[name]), sent.at(given[name]), f"{where}.{name}", seen)


def _values(schema: Schema) -> set[str] | None:
    if "const" in schema:
        return {repr(schema["const"])}
    return {repr(value) for value in schema["enum"]} if "enum" in schema else None


def _types_of(node: _Node) -> str:
    return " or ".join(sorted(node.types)) or "anything"
