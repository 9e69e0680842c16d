"""The first form of data digests (`sha256:…`): it is computed to compare data with older versions.

Digests of this form are equal for some different data: docs/data-digest.md lists them. It stays as it was.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import msgspec

from regista.files import hash_file, manifest_of

CHUNK = 1 << 22  # bytes hashed by one call


def data_digest(*parts: Any) -> str:
    """Return `sha256:<hex>` of data that belong together (features and labels, several files), in this order.

    `parts` are arrays, sparse matrices, data frames, series, paths, bytes and JSON values. The digest depends
    on the values, dtypes, column names and row order, not on memory layout or byte order. Raises TypeError
    for other types, and without parts: all empty data would have the same digest.
    """
    if not parts:
        raise TypeError("no data to digest: pass the data, or a digest that you computed")
    whole = sha256()
    for part in parts:
        whole.update(_digest(part))
    return "sha256:" + whole.hexdigest()


def _digest(part: Any) -> bytes:
    h = sha256()
    for piece in _pieces(part):
        h.update(len(piece).to_bytes(8, "big"))
        h.update(piece)
    return h.digest()


def _pieces(part: Any) -> Iterator[bytes | memoryview]:
    if isinstance(part, str | Path):
        path = Path(part)
        yield b"files"
        yield (manifest_of(path).digest if path.is_dir() else hash_file(path)[0]).encode()
    elif isinstance(part, bytes | bytearray | memoryview):
        yield b"bytes"
        yield memoryview(part)
    elif hasattr(part, "columns") and hasattr(part, "__getitem__"):
        yield b"frame"
        for column in part.columns:
            yield str(column).encode()
            yield _digest(_column(part, column))
    elif all(hasattr(part, name) for name in ("indptr", "indices", "data", "shape")):
        yield b"sparse"
        yield repr(tuple(part.shape)).encode()
        for inner in (part.indptr, part.indices, part.data):
            yield _digest(inner)
    elif hasattr(part, "__array__") or hasattr(part, "to_numpy"):
        yield from _array(part)
    else:
        yield b"json"
        yield _json(part)


def _array(part: Any) -> Iterator[bytes | memoryview]:
    numpy = sys.modules["numpy"]
    array = numpy.asarray(part.to_numpy() if hasattr(part, "to_numpy") else part)
    yield b"array"
    yield repr(tuple(array.shape)).encode()
    if array.dtype.kind in "OUT":
        yield b"string"
        yield _json(array.ravel().tolist())
        return
    dtype = array.dtype.newbyteorder("<")
    yield dtype.str.encode()
    yield (
        memoryview(numpy.ascontiguousarray(array, dtype=dtype).view(numpy.uint8).reshape(-1))
        if array.size
        else b""
    )


def _json(value: Any) -> bytes:
    try:
        return msgspec.json.encode(value, order="sorted")
    except (TypeError, msgspec.MsgspecError) as e:
        msg = (
            f"cannot digest a {type(value).__name__} ({e}): "
            "pass an array, a data frame, a path, bytes, or a digest that you computed"
        )
        raise TypeError(msg) from None


def _column(frame: Any, column: Any) -> Any:
    return frame[column]
