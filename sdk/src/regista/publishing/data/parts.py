"""The digest of one part of the data: a frame, a column, an array, a matrix, bytes, or a Python value."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from regista.publishing.data import matrices
from regista.publishing.data.arrow_columns import vector
from regista.publishing.data.arrow_memory import read_stream
from regista.publishing.data.column_hash import ColumnHash, column, group, table, tensor
from regista.publishing.data.encoding import content, text
from regista.publishing.data.frames import Column, Reader, columns_of, libraries
from regista.publishing.data.vectors import NoForm, Vector

WRONG = (NoForm, ValueError, TypeError, ArithmeticError, AttributeError, RuntimeError)
"""What libraries raise for values that cannot be converted."""


def digest_part(part: Any) -> bytes:
    """Return the digest of a part. Raises NoForm, naming the column and its type."""
    try:
        return _digest(part)
    except WRONG as e:
        raise NoForm(str(e) or repr(e)) from e


def _digest(part: Any) -> bytes:
    if isinstance(part, bytes | bytearray | memoryview):
        return content("bytes", sha256(part).hexdigest())
    found = libraries(part)
    if "xgboost" in found and hasattr(part, "get_float_info"):
        return group("dmatrix", [(name, _of_matrix(data)) for name, data in matrices.dmatrix_parts(part)])
    if "torch" in found and hasattr(part, "detach"):
        return matrices.torch_digest(part, _elements)
    if "torch" in found and (hasattr(part, "__getitem__") or hasattr(part, "dataset")):
        raise NoForm("it reads its values one by one: pass what it holds, as dataset.tensors")
    if hasattr(part, "tocsr"):
        return matrices.scipy_sparse(part)
    columns = columns_of(part)
    if columns is not None:
        return _table(columns, len(part) if not columns and hasattr(part, "__len__") else 0)
    if _is_stream_of_tables(part):
        return _table_in_batches(part)
    return _values(part)


def _of_matrix(data: Any) -> bytes:
    return matrices.scipy_sparse(data, zeros=True) if hasattr(data, "tocsr") else digest_part(data)


def _table(columns: Sequence[Column], rows: int) -> bytes:
    done: list[tuple[bytes, bytes]] = []
    for one in columns:
        try:
            whole = _column(one.values)
        except WRONG as e:
            type_ = f" ({one.type})" if one.type else ""
            raise NoForm(f"column {one.name!r}{type_}: {str(e) or repr(e)}") from e
        rows = whole.rows
        done.append((_name(one.name), whole.digest()))
    return table(rows, done)


def _column(values: Any) -> ColumnHash:
    parts = reader.parts(values)
    if parts is None:
        array = np.asarray(values)
        parts = iter((reader.array(array) if array.ndim == 1 else reader.cells.vector(list(array)),))
    return _hashed(parts)


def _hashed(parts: Iterator[Vector]) -> ColumnHash:
    first = next(parts)
    whole = ColumnHash(first)
    whole.add(first)
    for part in parts:
        whole.add(part)
    return whole


def _name(name: Any) -> bytes:
    """Return the encoded name of a column: a text, or another value, which pandas allows."""
    if isinstance(name, str):
        return b"s" + text(name)
    return b"v" + column(reader.cells.vector([name]))


def _is_stream_of_tables(part: Any) -> bool:
    return hasattr(part, "__arrow_c_stream__") and not (hasattr(part, "dtype") or hasattr(part, "type"))


def _table_in_batches(part: Any) -> bytes:
    """Return the digest of a table of any library that exports Arrow: a stream of records."""
    names: list[str] = []
    wholes: list[ColumnHash] = []
    for field, chunk in read_stream(part):
        for position, (one, data) in enumerate(zip(field.children, chunk.children, strict=True)):
            values = vector(one, data).take(slice(chunk.offset, chunk.offset + chunk.length))
            if position == len(wholes):
                names.append(one.name)
                wholes.append(ColumnHash(values))
            wholes[position].add(values)
    rows = wholes[0].rows if wholes else 0
    return table(rows, [(_name(name), whole.digest()) for name, whole in zip(names, wholes, strict=True)])


def _values(part: Any) -> bytes:
    """Return the digest of a column, of an array of any number of dimensions, or of a Python value."""
    parts = reader.parts(part)
    if parts is not None:
        return _hashed(parts).digest()
    if isinstance(part, np.ndarray) or hasattr(part, "__array__") or hasattr(part, "__array_interface__"):
        array = part if isinstance(part, np.ndarray) else np.asarray(part)
        return _elements(array.shape, reader.array(array.reshape(-1)))
    return tensor((), column(reader.cells.vector([part])))


def _elements(shape: Sequence[int], values: Vector) -> bytes:
    """Return the digest of an array: of one dimension it is a column."""
    return column(values) if len(shape) == 1 else tensor(shape, column(values))


reader = Reader(digest_part)
