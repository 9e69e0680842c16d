"""Return one valid value of a type, always the same: for examples of public and stored events."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from enum import Enum
from typing import Any
from uuid import UUID

MOMENT = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)
PLAIN: dict[Any, Any] = {
    str: "text",
    int: 1,
    float: 0.5,
    bool: True,
    bytes: b"bytes",
    datetime: MOMENT,
    date: MOMENT.date(),
    UUID: UUID(int=1),
    type(None): None,
    Any: "anything",
}


def example(hint: Any) -> Any:
    """Return a value of `hint`: a dataclass with every field filled, the first of alternatives.

    Raises TypeError for a type that is not handled here.
    """
    if hint in PLAIN:
        return PLAIN[hint]
    if dataclasses.is_dataclass(hint):
        hints = typing.get_type_hints(hint)
        return hint(**{f.name: example(hints[f.name]) for f in dataclasses.fields(hint) if f.init})  # type: ignore[operator]
    if isinstance(hint, type) and issubclass(hint, Enum):
        return next(iter(hint))
    return _of_generic(hint, typing.get_origin(hint), typing.get_args(hint))


def _of_generic(hint: Any, origin: Any, args: tuple[Any, ...]) -> Any:
    if origin is typing.Literal:
        return args[0]
    if origin is typing.Annotated:
        return example(args[0])
    if origin in {typing.Union, types.UnionType}:
        return example(next(a for a in args if a is not type(None)))
    if origin is tuple:
        return (example(args[0]),) if len(args) == 2 and args[1] is ... else tuple(example(a) for a in args)
    if origin in {list, Sequence} or hint is list:
        return [example(a) for a in args]
    if origin in {frozenset, set}:
        return origin([example(args[0])])
    if origin in {dict, Mapping} or hint is dict:
        return {example(args[0]): example(args[1])} if args else {}
    msg = f"no example for {hint!r}: handle the type in tools/contracts/example.py"
    raise TypeError(msg)
