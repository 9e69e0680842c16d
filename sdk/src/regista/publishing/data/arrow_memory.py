"""Read Arrow data of any library in memory, by the Arrow C data interface, without copying.

https://arrow.apache.org/docs/format/CDataInterface.html: polars, pyarrow, pandas 3 and others offer it as
`__arrow_c_stream__` or `__arrow_c_array__`. The structures are frozen by Arrow, so no library is needed.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from ctypes import POINTER, c_char_p, c_int, c_int64, c_void_p
from dataclasses import dataclass
from typing import Any

import numpy as np

from regista.publishing.data.vectors import Array, NoForm


class _Schema(ctypes.Structure):
    pass


_Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_void_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", POINTER(POINTER(_Schema))),
    ("dictionary", POINTER(_Schema)),
    ("release", c_void_p),
    ("private_data", c_void_p),
]


class _Array(ctypes.Structure):
    pass


_Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", POINTER(POINTER(_Array))),
    ("dictionary", POINTER(_Array)),
    ("release", c_void_p),
    ("private_data", c_void_p),
]


class _Stream(ctypes.Structure):
    pass


_Stream._fields_ = [
    ("get_schema", ctypes.CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Schema))),
    ("get_next", ctypes.CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Array))),
    ("get_last_error", ctypes.CFUNCTYPE(c_char_p, POINTER(_Stream))),
    ("release", c_void_p),
    ("private_data", c_void_p),
]
_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype, _pointer.argtypes = c_void_p, [ctypes.py_object, c_char_p]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a schema: its format (the type), name and metadata."""

    format: str
    name: str
    metadata: dict[str, bytes]
    children: tuple[Field, ...]
    dictionary: Field | None


class Owner:
    """Keep the memory of an array until nothing refers to it: the C structure that was moved here."""

    def __init__(self, array: _Array) -> None:
        self._array = array

    def __del__(self) -> None:
        _release(self._array)


@dataclass(frozen=True, slots=True)
class Chunk:
    """An array in the memory of its library. Every buffer refers to the owner of the memory."""

    length: int
    offset: int
    null_count: int
    addresses: tuple[int, ...]
    children: tuple[Chunk, ...]
    dictionary: Chunk | None
    owner: object

    def buffer(self, index: int, dtype: str, count: int) -> Array:
        """Return the first `count` values of a buffer."""
        size = np.dtype(dtype).itemsize * count
        address = self.addresses[index]
        if not size or not address:
            return np.zeros(0, dtype)
        memory = (ctypes.c_char * size).from_address(address)
        memory.owner = self.owner  # type: ignore[attr-defined]  # the array keeps `memory`, and so the owner
        return np.frombuffer(memoryview(memory), dtype)


def chunk_without_rows(field: Field) -> Chunk:
    """Return an array of the type that has no rows."""
    children = tuple(chunk_without_rows(child) for child in field.children)
    dictionary = chunk_without_rows(field.dictionary) if field.dictionary else None
    return Chunk(0, 0, 0, (0, 0, 0), children, dictionary, None)


def read_stream(data: Any) -> Iterator[tuple[Field, Chunk]]:
    """Return the chunks with their schema, a chunk without rows first."""
    if not hasattr(data, "__arrow_c_stream__"):
        yield from _read_array(data)
        return
    capsule = data.__arrow_c_stream__()
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    schema = _Schema()
    _check(stream, stream.get_schema(stream, schema))
    try:
        field = _field(schema)
    finally:
        _release(schema)
    yield field, chunk_without_rows(field)
    while True:
        chunk = _Array()
        _check(stream, stream.get_next(stream, chunk))
        if not chunk.release:
            break
        yield field, _chunk(chunk, Owner(chunk))
    del capsule  # releases the stream


def _read_array(data: Any) -> Iterator[tuple[Field, Chunk]]:
    of_schema, of_array = data.__arrow_c_array__()
    field = _field(_Schema.from_address(_pointer(of_schema, b"arrow_schema")))
    yield field, chunk_without_rows(field)
    yield field, _chunk(_Array.from_address(_pointer(of_array, b"arrow_array")), of_array)


def _check(stream: _Stream, result: int) -> None:
    if result:
        reason = stream.get_last_error(stream) or b"no reason is given"
        raise NoForm(f"its library cannot export it to Arrow: {reason.decode('utf-8', 'replace')}")


def _release(structure: _Schema | _Array) -> None:
    if structure.release:
        ctypes.CFUNCTYPE(None, c_void_p)(structure.release)(ctypes.addressof(structure))


def _field(schema: _Schema) -> Field:
    return Field(
        schema.format.decode(),
        (schema.name or b"").decode("utf-8", "surrogateescape"),
        _metadata(schema.metadata),
        tuple(_field(schema.children[i].contents) for i in range(schema.n_children)),
        _field(schema.dictionary.contents) if schema.dictionary else None,
    )


def _metadata(address: int | None) -> dict[str, bytes]:
    """Return key-value metadata: a count, then keys and values, each after its length (native int32)."""
    found: dict[str, bytes] = {}
    if not address:
        return found

    def number() -> int:
        nonlocal address
        value = ctypes.c_int32.from_address(address).value
        address += 4
        return value

    def raw() -> bytes:
        nonlocal address
        length = number()
        value = ctypes.string_at(address, length)
        address += length
        return value

    for _ in range(number()):
        key = raw().decode("utf-8", "replace")
        found[key] = raw()
    return found


def _chunk(array: _Array, owner: object) -> Chunk:
    return Chunk(
        array.length,
        array.offset,
        array.null_count,
        tuple(array.buffers[i] or 0 for i in range(array.n_buffers)),
        tuple(_chunk(array.children[i].contents, owner) for i in range(array.n_children)),
        _chunk(array.dictionary.contents, owner) if array.dictionary else None,
        owner,
    )
