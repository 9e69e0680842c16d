"""Write events as Parquet by `arro3`, in plain types that DuckDB, Spark and Trino read.

Only the export process imports it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from io import BytesIO

from arro3.core import Array, DataType, Field, RecordBatch, RecordBatchReader, Schema
from arro3.io import write_parquet

from regista.wire.history import COLUMNS, FORMAT, Event

ROWS = 10_000
"""Rows of a group: readers skip groups by minimum and maximum."""
_TYPES = {
    "int64": DataType.int64(),
    "text": DataType.string(),
    "moment": DataType.timestamp("us", tz="UTC"),
    "binary": DataType.binary(),
}
SCHEMA = Schema([Field(name, _TYPES[kind], nullable=nullable) for name, kind, nullable in COLUMNS])


def parquet(pages: Iterable[Sequence[Event]], origin: str) -> bytes:
    """Return one file. The same events and the same version of the library give the same bytes."""
    written = BytesIO()
    write_parquet(
        RecordBatchReader.from_batches(SCHEMA, _batches(pages)),
        written,
        compression="zstd(3)",
        max_row_group_size=ROWS,
        column_dictionary_enabled={"bytes": False, "leaf": False, "data": False, "event_id": False},
        skip_arrow_metadata=True,
        created_by="regista",
        key_value_metadata={FORMAT: origin},  # one pair: several are written in random order
    )
    return written.getvalue()


def _batches(pages: Iterable[Sequence[Event]]) -> Iterator[RecordBatch]:
    for page in pages:
        columns = zip(*page, strict=True)
        yield RecordBatch.from_arrays(
            [_array(values, kind) for values, (_, kind, _) in zip(columns, COLUMNS, strict=True)],
            schema=SCHEMA,
        )


def _array(values: Sequence[object], kind: str) -> Array:
    if kind == "moment":
        return Array(values, DataType.int64()).cast(_TYPES[kind])
    return Array(values, _TYPES[kind])
