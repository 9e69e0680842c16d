"""The SQL of read models: tables behind views, row changes, and the generations that a rebuild swaps.

The view `versions` shows the table `versions_g7`. Writers and readers use the view, so a swap changes only
the table that they reach.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache
from operator import itemgetter
from typing import Any

import asyncpg
import msgspec
from sqlalchemy import Column, MetaData, Table
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql import JSONB
from sqlalchemy.schema import CreateIndex
from sqlalchemy.sql import quoted_name

from shared.deciding.changes import Change, Drop, Put

_DIALECT = postgresql.dialect()  # type: ignore[no-untyped-call]
_json = msgspec.json.Encoder(order="sorted")

Key = tuple[Any, ...]


class ShapeChanged(Exception):  # noqa: N818
    """Another release rebuilt the read models in its own shape, so this process cannot write them.

    Restart the service with the code of that release.
    """


class Merged:
    """The row changes of one commit, merged: at most one change per table and key."""

    def __init__(self) -> None:
        self.puts: dict[Table, dict[Key, dict[str, Any]]] = defaultdict(dict)
        self.patches: dict[Table, dict[Key, dict[str, Any]]] = defaultdict(dict)
        self.drops: dict[Table, dict[Key, None]] = defaultdict(dict)

    def add(self, changes: Iterable[Change]) -> None:
        for change in changes:
            table, key = change.table, key_of(change)
            if isinstance(change, Put):
                if table in self.patches:
                    self.patches[table].pop(key, None)
                if table in self.drops:
                    self.drops[table].pop(key, None)
                self.puts[table][key] = dict(change.row)
            elif isinstance(change, Drop):
                self.puts[table].pop(key, None)
                self.patches[table].pop(key, None)
                self.drops[table][key] = None
            elif key in self.puts[table]:
                self.puts[table][key].update(change.columns)
            elif key not in self.drops[table]:
                self.patches[table].setdefault(key, {}).update(change.columns)


def key_of(change: Change) -> Key:
    """Return the values of the primary key, in the table's order."""
    return _key_getter(change.table)(change.row if isinstance(change, Put) else change.key)


@cache
def _key_getter(table: Table) -> Callable[[Mapping[str, Any]], Key]:
    names = key_names(table)
    if len(names) == 1:
        [name] = names
        return lambda values: (values[name],)
    return itemgetter(*names)


@cache
def key_names(table: Table) -> tuple[str, ...]:
    return tuple(column.name for column in table.primary_key.columns)


async def apply(tx: asyncpg.Connection, schema: str, merged: Merged, suffix: str = "") -> None:
    """Write merged changes by at most one statement per table and set of columns.

    `suffix` selects the tables of a generation instead of the views.
    """
    for table, drops in merged.drops.items():
        if drops:
            await tx.execute(
                drop_sql(table, schema, suffix),
                *_arrays(_key_columns(table), [dict(zip(key_names(table), k, strict=True)) for k in drops]),
            )
    for table, puts in merged.puts.items():
        if puts:
            await tx.execute(
                put_sql(table, schema, suffix), *_arrays(tuple(table.columns), list(puts.values()))
            )
    for table, patches in merged.patches.items():
        by_shape: dict[tuple[str, ...], list[dict[str, Any]]] = defaultdict(list)
        for key, columns in patches.items():
            if columns:
                by_shape[tuple(sorted(columns))].append(
                    {**dict(zip(key_names(table), key, strict=True)), **columns}
                )
        for shape, rows in by_shape.items():
            columns_ = (*_key_columns(table), *(table.columns[name] for name in shape))
            await tx.execute(patch_sql(table, schema, shape, suffix), *_arrays(columns_, rows))


def _key_columns(table: Table) -> tuple[Column[Any], ...]:
    return tuple(table.primary_key.columns)


@cache
def put_sql(table: Table, schema: str, suffix: str = "") -> str:
    columns = tuple(table.columns)
    names = ", ".join(f'"{c.name}"' for c in columns)
    keys = ", ".join(f'"{name}"' for name in key_names(table))
    sets = ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in columns if not c.primary_key)
    return (
        f'INSERT INTO "{schema}"."{table.name}{suffix}" ({names}) '
        f"SELECT {_casts(columns)} FROM {_unnest(columns)} "
        f"ON CONFLICT ({keys}) DO {'UPDATE SET ' + sets if sets else 'NOTHING'}"
    )


@cache
def patch_sql(table: Table, schema: str, shape: Sequence[str], suffix: str = "") -> str:
    columns = (*_key_columns(table), *(table.columns[name] for name in shape))
    sets = ", ".join(f'"{name}" = {_cast(table.columns[name])}' for name in shape)
    match = " AND ".join(f't."{name}" = x."{name}"' for name in key_names(table))
    return f'UPDATE "{schema}"."{table.name}{suffix}" AS t SET {sets} FROM {_unnest(columns)} WHERE {match}'


@cache
def drop_sql(table: Table, schema: str, suffix: str = "") -> str:
    match = " AND ".join(f't."{name}" = x."{name}"' for name in key_names(table))
    keys = _unnest(_key_columns(table))
    return f'DELETE FROM "{schema}"."{table.name}{suffix}" AS t USING {keys} WHERE {match}'


def _sql_type(column: Column[Any]) -> str:
    return column.type.compile(dialect=_DIALECT)


def _travels_as_text(column: Column[Any]) -> bool:
    return isinstance(column.type, JSONB)


def _unnest(columns: Sequence[Column[Any]]) -> str:
    arrays = ", ".join(
        f"${n}::{'text' if _travels_as_text(c) else _sql_type(c)}[]" for n, c in enumerate(columns, 1)
    )
    names = ", ".join(f'"{c.name}"' for c in columns)
    return f"unnest({arrays}) AS x({names})"


def _cast(column: Column[Any]) -> str:
    return f'x."{column.name}"::{_sql_type(column)}' if _travels_as_text(column) else f'x."{column.name}"'


def _casts(columns: Sequence[Column[Any]]) -> str:
    return ", ".join(_cast(column) for column in columns)


def _arrays(columns: Sequence[Column[Any]], rows: Sequence[Mapping[str, Any]]) -> list[list[Any]]:
    out: list[list[Any]] = []
    for column in columns:
        name = column.name
        if isinstance(column.type, JSONB):
            out.append([_text(row.get(name)) for row in rows])
        else:
            out.append([row.get(name) for row in rows])
    return out


def copy_row(table: Table, row: dict[str, Any]) -> tuple[Any, ...]:
    """Return a row for COPY: its values in the order of the table's columns, documents as bytes."""
    nulls, json_columns = _copied(table)
    full = nulls | row  # keeps the order of its left side
    for name in json_columns:
        full[name] = None if full[name] is None else _json.encode(full[name])
    return tuple(full.values())


@cache
def _copied(table: Table) -> tuple[dict[str, Any], tuple[str, ...]]:
    return dict.fromkeys(column.name for column in table.columns), tuple(
        c.name for c in table.columns if _travels_as_text(c)
    )


def _text(value: Any) -> str | None:
    return None if value is None else _json.encode(value).decode()


def shape_of(tables: Iterable[Table]) -> str:
    """Return a fingerprint of the tables' definition. A generation is made for each fingerprint."""
    return hashlib.sha256(
        "\n".join(
            create_sql(table, "s", "") + "".join(index_sql(table, "s", "")) for table in tables
        ).encode()
    ).hexdigest()


def create_sql(table: Table, schema: str, suffix: str) -> str:
    """Return the statement that makes the table without primary key and indexes, which follow the COPY."""
    columns = ", ".join(
        f'"{c.name}" {_sql_type(c)}{"" if c.nullable else " NOT NULL"}' for c in table.columns
    )
    return f'CREATE TABLE "{schema}"."{table.name}{suffix}" ({columns})'


def index_sql(table: Table, schema: str, suffix: str) -> list[str]:
    """Return the statements that make the indexes of a generation's table, in any order.

    The first is that of the primary key.
    """
    keys = ", ".join(f'"{name}"' for name in key_names(table))
    statements = [
        f'CREATE UNIQUE INDEX "{table.name}{suffix}_pkey" ON "{schema}"."{table.name}{suffix}" ({keys})'
    ]
    copy = table.to_metadata(MetaData(), schema=schema, name=table.name + suffix)
    for index in sorted(copy.indexes, key=lambda i: str(i.name)):
        index.name = quoted_name(f"{index.name}{suffix}", quote=None)
        statements.append(str(CreateIndex(index).compile(dialect=_DIALECT)))
    return statements


def key_sql(table: Table, schema: str, suffix: str) -> str:
    """Return the statement that makes the existing index the primary key."""
    name = table.name + suffix
    return f'ALTER TABLE "{schema}"."{name}" ADD PRIMARY KEY USING INDEX "{name}_pkey"'


def view_sql(table: Table, schema: str, suffix: str) -> list[str]:
    """Return the statements that point the view at a generation.

    A view of another shape must be dropped first.
    """
    return [
        f'DROP VIEW IF EXISTS "{schema}"."{table.name}"',
        f'CREATE VIEW "{schema}"."{table.name}" AS SELECT * FROM "{schema}"."{table.name}{suffix}"',
    ]
