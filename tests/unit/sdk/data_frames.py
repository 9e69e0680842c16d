"""Frames for tests of data digests: a description of a table, and how each library makes it.

`python data_frames.py SEED COUNT` prints the digests of frames of pandas, in the release that is installed.
"""

from __future__ import annotations

import json
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd

EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - a timestamp without a zone
TEXTS = ["", "a", "1", "zürich", "a text that is longer than twelve bytes", "\x00", "2020-01-01"]
VALUES: dict[str, Callable[[random.Random], Any]] = {
    "int8": lambda r: r.randint(-128, 127),
    "int32": lambda r: r.choice([0, 1, -(2**31), 2**31 - 1]),
    "int64": lambda r: r.choice([0, 1, 2**53, 2**53 + 1, -(2**63), 2**63 - 1]),
    "uint64": lambda r: r.choice([0, 1, 2**63, 2**64 - 1]),
    "float32": lambda r: r.choice([0.0, -0.0, 1.0, -2.5, float("inf")]),
    "float64": lambda r: r.choice([0.0, -0.0, 1.0, 0.1, 2.0**53, float("-inf")]),
    "bool": lambda r: r.random() < 0.5,
    "string": lambda r: r.choice(TEXTS),
    "binary": lambda r: r.choice(TEXTS).encode(),
    "date": lambda r: date(1970, 1, 1) + timedelta(days=r.randint(-800_000 // 30, 800_000 // 30)),
    "timestamp": lambda r: EPOCH + timedelta(microseconds=r.choice([0, -1, 1, 10**15, r.randint(0, 10**9)])),
    "timestamp[UTC]": lambda r: EPOCH.replace(tzinfo=UTC) + timedelta(microseconds=r.choice([0, -1, 10**15])),
    "duration": lambda r: timedelta(microseconds=r.choice([0, -1, 1, 10**12])),
    "decimal": lambda r: r.choice([Decimal(0), Decimal("1.1"), Decimal(-20), Decimal("0.05")]),
    "list": lambda r: [r.randint(0, 3) for _ in range(r.randint(0, 3))],
}
"""A value of each type that all three libraries have."""


@dataclass(frozen=True)
class Column:
    name: str
    type: str
    cells: tuple[Any, ...]


Table = tuple[Column, ...]


def table(r: random.Random, types: tuple[str, ...] = tuple(VALUES)) -> Table:
    rows = r.randint(1, 12)
    return tuple(
        column(r, name, r.choice(types), rows) for name in r.sample(["a", "b", "1", "ä"], r.randint(1, 3))
    )


def column(r: random.Random, name: str, type_: str, rows: int) -> Column:
    missing = r.choice([0.0, 0.0, 0.3])
    values = tuple(None if r.random() < missing else VALUES[type_](r) for _ in range(rows))
    present = values if any(v is not None and v != [] for v in values) else (VALUES[type_](r),) * rows
    return Column(name, type_, present if present != ([],) * rows else ([1],) * rows)


def changed(r: random.Random, original: Table) -> Table:
    """Return the table with at most one change: of a value, a name, a type, or an order."""
    position = r.randrange(len(original))
    one = original[position]
    row = r.randrange(len(one.cells))
    match r.randint(0, 5):
        case 0:
            return original
        case 1:
            values = (*one.cells[:row], VALUES[one.type](r), *one.cells[row + 1 :])
            return with_column(original, position, replace(one, cells=values))
        case 2:
            names = {c.name for c in original}
            return with_column(original, position, replace(one, name=r.choice(sorted({"c", "d"} - names))))
        case 3:
            return tuple(replace(c, cells=(*c.cells[1:], c.cells[0])) for c in original)
        case 4:
            return (*original[1:], original[0])
        case _:
            other = {"int32": "int64", "float32": "float64", "timestamp": "timestamp[UTC]"}.get(one.type)
            if other is None:
                return original
            values = one.cells
            if one.type == "timestamp":
                values = tuple(v if v is None else v.replace(tzinfo=UTC) for v in values)
            return with_column(original, position, Column(one.name, other, values))


def with_column(original: Table, position: int, one: Column) -> Table:
    """Return the table with another column; one without a value that shows its type is left as it was."""
    if not any(v is not None and v != [] for v in one.cells):
        return original
    return (*original[:position], one, *original[position + 1 :])


NUMPY = {"int8", "int32", "int64", "uint64", "float32", "float64", "bool"}


def in_pandas(made: Table) -> pd.DataFrame:
    """Return a frame with the types that pandas' readers choose."""
    series = []
    for c in made:
        missing = any(v is None for v in c.cells)
        if c.type in NUMPY and not missing:
            values: Any = np.array(c.cells, dtype=c.type)
        elif c.type.startswith("float"):
            values = np.array([np.nan if v is None else v for v in c.cells], dtype=c.type)
        elif c.type == "bool":
            values = pd.array(list(c.cells), dtype="boolean")
        elif c.type in NUMPY:
            values = pd.array(list(c.cells), dtype=c.type.replace("i", "I", 1).replace("uI", "UI"))
        elif c.type in {"timestamp", "timestamp[UTC]"}:
            values = pd.to_datetime(list(c.cells), utc=c.type != "timestamp")
        elif c.type == "duration":
            values = pd.to_timedelta(list(c.cells))
        else:
            values = pd.Series(list(c.cells), dtype=object) if c.type != "string" else list(c.cells)
        series.append(pd.Series(values))
    frame = pd.concat(series, axis=1)
    frame.columns = pd.Index([c.name for c in made], dtype=object)
    return frame


def in_pandas_as_objects(made: Table) -> pd.DataFrame:
    """Return a frame of Python objects, with categories where they repeat."""
    frame = pd.concat([pd.Series(list(c.cells), dtype=object) for c in made], axis=1)
    frame.columns = pd.Index([c.name for c in made], dtype=object)
    for position, c in enumerate(made):
        if c.type == "string":
            frame[c.name] = pd.Categorical(frame.iloc[:, position])
    return frame


OF_OBJECTS = tuple(sorted({*VALUES} - {"int8", "int32", "uint64", "float32"}))
"""Types that Python's own objects have."""


def digests(seed: int, count: int) -> list[str]:
    from regista.publishing.data_digest import data_digest  # noqa: PLC0415 - found in another interpreter

    r = random.Random(seed)
    made = [table(r) for _ in range(count)]
    return [data_digest(in_pandas(one)) for one in made]


if __name__ == "__main__":
    found = {"pandas": pd.__version__, "digests": digests(int(sys.argv[1]), int(sys.argv[2]))}
    sys.stdout.write(json.dumps(found))
