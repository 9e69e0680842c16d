"""docs/data-digest.md is precise: its code, its test vectors and its Java program give the SDK's digests."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.publishing.data.column_hash import column
from regista.publishing.data.frames import columns_of
from regista.publishing.data.parts import reader
from regista.publishing.data_digest import data_digest

ROOT = Path(__file__).parents[3]
VECTORS = json.loads((ROOT / "schemas/vectors/data-digest.json").read_text("utf-8"))
READERS: dict[str, Callable[[Any], Any]] = {
    "binary": bytes.fromhex,
    "decimal": Decimal,
    "float64": float,
    "float32": float,
}
TYPES = {
    "int64": pa.int64(),
    "int32": pa.int32(),
    "uint8": pa.uint8(),
    "float64": pa.float64(),
    "float32": pa.float32(),
    "bool": pa.bool_(),
    "string": pa.string(),
    "binary": pa.binary(),
    "date": pa.date32(),
    "time": pa.time64("ns"),
    "timestamp": pa.timestamp("ns"),
    "timestamp[UTC]": pa.timestamp("ns", "UTC"),
    "duration": pa.duration("ns"),
    "decimal": pa.decimal128(20, 6),
    "list<int64>": pa.list_(pa.int64()),
    "struct<a: string, b: int64>": pa.struct([("b", pa.int64()), ("a", pa.string())]),
    "null": pa.null(),
}
WHOLE = {"date", "time", "timestamp", "timestamp[UTC]", "duration"}
"""Types whose vectors are whole numbers: days, or nanoseconds."""


def arrow(column_: dict[str, Any]) -> pa.Array:
    """Return the column of a test vector."""
    type_, values = column_["type"], column_["values"]
    if type_ in WHOLE:
        bits = pa.int32() if type_ == "date" else pa.int64()
        return pa.array(values, bits).cast(TYPES[type_])
    read = READERS.get(type_, lambda value: value)
    return pa.array([None if v is None else read(v) for v in values], TYPES[type_])


@pytest.mark.parametrize("one", VECTORS["tables"], ids=lambda one: one["about"])
def test_a_table_of_the_test_vectors_has_its_digest(one: dict[str, Any]) -> None:
    table = pa.table([arrow(c) for c in one["columns"]], names=[c["name"] for c in one["columns"]])
    assert [_column(found.values).hex() for found in columns_of(table) or ()] == [
        c["digest"] for c in one["columns"]
    ]
    assert data_digest(table) == one["digest"]


def _column(values: Any) -> bytes:
    parts = reader.parts(values)
    assert parts is not None
    return column(list(parts)[-1])


@pytest.mark.parametrize("one", VECTORS["arrays"], ids=lambda one: one["about"])
def test_an_array_of_the_test_vectors_has_its_digest(one: dict[str, Any]) -> None:
    assert data_digest(np.array(one["values"], dtype=one["type"])) == one["digest"]


def test_bytes_of_the_test_vectors_have_their_digest() -> None:
    parts = [bytes.fromhex(part) for part in VECTORS["bytes"]["parts"]]
    assert data_digest(*parts) == VECTORS["bytes"]["digest"]


def written() -> dict[str, Any]:
    """Return what the implementation in the document defines."""
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / "docs/data-digest.md").read_text("utf-8"), re.DOTALL)
    defined: dict[str, Any] = {}
    exec(next(block for block in blocks if "def column" in block), defined)  # noqa: S102 - our own document
    return defined


WRITTEN = written()
COLUMNS = {
    "int64": st.integers(-(2**63), 2**63 - 1),
    "float64": st.floats(),
    "string": st.text(st.characters(exclude_categories=["Cs"])),
}


@st.composite
def tables(draw: Callable[..., Any]) -> dict[str, tuple[str, list[Any]]]:
    rows = draw(st.integers(0, 20))
    types = draw(st.dictionaries(st.text("abcé", max_size=3), st.sampled_from(sorted(COLUMNS)), min_size=1))
    return {
        name: (type_, draw(st.lists(st.none() | COLUMNS[type_], min_size=rows, max_size=rows)))
        for name, type_ in types.items()
    }


@settings(deadline=None)
@given(tables())
def test_the_implementation_in_the_document_gives_the_digests_of_the_sdk(table: dict[str, Any]) -> None:
    held = pa.table({name: pa.array(values, TYPES[type_]) for name, (type_, values) in table.items()})
    assert WRITTEN["digest"](WRITTEN["table"](table)) == data_digest(held)


@pytest.mark.skipif(
    shutil.which("javac") is None, reason="a JDK is not installed: the Java program is not run"
)
def test_the_java_program_gives_the_digest_of_the_sdk() -> None:
    done = subprocess.run(
        ["java", "-XX:TieredStopAtLevel=1", "-XX:+UseSerialGC", ROOT / "examples/java/DataDigest.java"],
        check=True,
        capture_output=True,
        text=True,
        timeout=120,
    )
    table = {
        "age": [41, None, -3],
        "score": pa.array([0.5, -0.0, float("nan")]),
        "name": ["Ada", "Zoë", None],
    }
    assert done.stdout.strip() == data_digest(pa.table(table))
