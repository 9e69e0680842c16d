"""Two frames have one digest if and only if names, types, order and values are equal, in every library."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.publishing.data_digest import data_digest
from tests.unit.sdk import data_frames as frames
from tests.unit.sdk.data_frames import Table

ARROW = {
    "int8": pa.int8(),
    "int32": pa.int32(),
    "int64": pa.int64(),
    "uint64": pa.uint64(),
    "float32": pa.float32(),
    "float64": pa.float64(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "timestamp[UTC]": pa.timestamp("us", "UTC"),
    "duration": pa.duration("us"),
    "decimal": pa.decimal128(12, 4),
    "list": pa.list_(pa.int64()),
}
OTHER_ARROW = ARROW | {
    "string": pa.string_view(),
    "binary": pa.large_binary(),
    "date": pa.date64(),
    "timestamp": pa.timestamp("ns"),
    "timestamp[UTC]": pa.timestamp("ns", "Etc/UTC"),
    "duration": pa.duration("ns"),
    "decimal": pa.decimal256(60, 9),
    "list": pa.large_list(pa.int64()),
}


def in_arrow(made: Table) -> pa.Table:
    return pa.table({c.name: pa.array(c.cells, ARROW[c.type]) for c in made})


def in_other_arrow(made: Table) -> pa.Table:
    """Return a table of the other type of each kind, in two chunks, with texts in dictionaries."""
    columns = {}
    for c in made:
        first = len(c.cells) // 2
        values = pa.chunked_array([c.cells[:first], c.cells[first:]], OTHER_ARROW[c.type])
        columns[c.name] = values.cast(pa.string()).dictionary_encode() if c.type == "string" else values
    return pa.table(columns)


def in_slices(made: Table) -> pa.Table:
    """Return a table whose arrays begin and end inside their buffers."""
    table = in_arrow(made)
    return pa.concat_tables([table.slice(1), table, table]).combine_chunks().slice(len(table) - 1, len(table))


LIBRARIES: dict[str, Callable[[Table], Any]] = {
    "pandas": frames.in_pandas,
    "pandas on Arrow": lambda made: in_arrow(made).to_pandas(types_mapper=pd.ArrowDtype),
    "pandas from Arrow": lambda made: in_arrow(made).to_pandas(
        types_mapper={
            pa.int8(): pd.Int8Dtype(),
            pa.int32(): pd.Int32Dtype(),
            pa.int64(): pd.Int64Dtype(),
            pa.uint64(): pd.UInt64Dtype(),
        }.get
    ),
    "polars": lambda made: pl.DataFrame(pl.from_arrow(in_arrow(made))),
    "polars lazy": lambda made: pl.DataFrame(pl.from_arrow(in_arrow(made))).lazy(),
    "polars reversed twice": lambda made: pl.DataFrame(pl.from_arrow(in_arrow(made)))[::-1][::-1],
    "pyarrow": in_arrow,
    "pyarrow, other types": in_other_arrow,
    "pyarrow, slices": in_slices,
    "pyarrow batch": lambda made: in_arrow(made).combine_chunks().to_batches()[0],
}


@settings(max_examples=200, deadline=None)
@given(
    st.randoms(use_true_random=False), st.sampled_from(sorted(LIBRARIES)), st.sampled_from(sorted(LIBRARIES))
)
def test_digests_are_equal_if_and_only_if_frames_are(r: random.Random, one: str, other: str) -> None:
    first = frames.table(r)
    second = frames.changed(r, first)
    equal = data_digest(LIBRARIES[one](first)) == data_digest(LIBRARIES[other](second))
    assert equal == (first == second)


@pytest.mark.parametrize("type_", sorted(frames.VALUES))
@pytest.mark.parametrize("seed", range(3))
def test_every_library_has_one_digest_for_a_column(type_: str, seed: int) -> None:
    made = (frames.column(random.Random(seed), "x", type_, 11),)
    assert len({data_digest(library(made)) for library in LIBRARIES.values()}) == 1


@settings(max_examples=100, deadline=None)
@given(st.randoms(use_true_random=False))
def test_objects_and_categories_have_the_types_of_their_values(r: random.Random) -> None:
    made = frames.table(r, frames.OF_OBJECTS)
    assert data_digest(frames.in_pandas_as_objects(made)) == data_digest(in_arrow(made))
