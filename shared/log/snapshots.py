"""Snapshots of folded states: their bytes, and the fingerprint of the code that made them."""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Iterable
from typing import Any

import msgspec
from immutables import Map

from shared.deciding.decider import Fold
from shared.deciding.events import Upcaster
from shared.log.fingerprint import fingerprint
from shared.log.layered_map import LARGE, LayeredMap


class SnapshotCodec:
    """Encodes the states of one fold.

    A state is a dataclass or Struct whose top-level fields may be `immutables.Map[K, V]`, or whatever msgspec
    encodes. A large map is decoded as a `LayeredMap`, which behaves the same.

    `fingerprint` changes with all code that makes the state (the fold, the upcasters of its events, this
    codec and what they import), so a snapshot is never used by other code than made it. Raises NotCovered.
    """

    def __init__(self, fold: Fold[Any, Any], upcasters: Iterable[Upcaster] = ()) -> None:
        self._type = type(fold.initial)
        hints = typing.get_type_hints(self._type)
        self._names = _fields(self._type)
        self._maps = [name for name in self._names if (typing.get_origin(hints[name]) or hints[name]) is Map]
        stored = [(name, _plain(hints[name])) for name in self._names]
        self._decoder = msgspec.msgpack.Decoder(
            msgspec.defstruct("Stored", stored, array_like=True) if stored else self._type
        )
        self.fingerprint = fingerprint(*sorted({__name__, *_modules(fold, upcasters)}))

    def dump(self, state: Any) -> bytes:
        if not self._names:
            return msgspec.msgpack.encode(state)
        values = (getattr(state, name) for name in self._names)
        return msgspec.msgpack.encode([_entries(value) for value in values])

    def load(self, stored: bytes) -> Any:
        decoded = self._decoder.decode(stored)
        if not self._names:
            return decoded
        values = {name: getattr(decoded, name) for name in self._names}
        return self._type(**values | {name: _persistent(values[name]) for name in self._maps})


def _entries(value: Any) -> Any:
    """Return a map as a dict; any other value as it is."""
    return (
        value.whole() if isinstance(value, LayeredMap) else dict(value) if isinstance(value, Map) else value
    )


def _persistent(entries: dict[Any, Any]) -> Any:
    return Map(entries) if len(entries) < LARGE else LayeredMap(entries)


def _fields(type_: Any) -> tuple[str, ...]:
    """Return the names of the fields, in order; none for what is neither a dataclass nor a Struct."""
    if dataclasses.is_dataclass(type_):
        return tuple(field.name for field in dataclasses.fields(type_))
    return type_.__struct_fields__ if issubclass(type_, msgspec.Struct) else ()


def _plain(hint: Any) -> Any:
    if (typing.get_origin(hint) or hint) is Map and (arguments := typing.get_args(hint)):
        return dict[arguments]  # type: ignore[misc, valid-type]
    return hint


def _modules(fold: Fold[Any, Any], upcasters: Iterable[Upcaster]) -> set[str]:
    """Return the modules of the fold, its state and the upcasters."""
    return {
        fold.evolve.__module__,
        type(fold.initial).__module__,
        *(upcast.__module__ for upcast in upcasters),
    }
