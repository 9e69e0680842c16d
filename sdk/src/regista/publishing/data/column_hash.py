"""Hash columns into the digest of data, form 2 (docs/data-digest.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import Any

import numpy as np

from regista.publishing.data.encoding import text, u32, u64
from regista.publishing.data.vectors import Array, NoForm, Vector

WINDOW = 1 << 16
"""Rows converted and hashed by one step: what they need stays in the processor's cache."""


class Bits:
    """Hash booleans as bits, the first one lowest in its byte."""

    def __init__(self) -> None:
        self._hash = sha256()
        self._rest = np.zeros(0, bool)

    def update(self, values: Array) -> None:
        """Add booleans."""
        bits = np.concatenate((self._rest, values)) if len(self._rest) else values
        whole = len(bits) - len(bits) % 8
        self._hash.update(np.packbits(bits[:whole], bitorder="little").data)
        self._rest = bits[whole:]

    def digest(self) -> bytes:
        """Return the hash; unused bits of the last byte are 0."""
        last = self._hash.copy()
        last.update(np.packbits(self._rest, bitorder="little").data)
        return last.digest()


class Bytes:
    """Hash values by their bytes."""

    def __init__(self) -> None:
        self._hash = sha256()

    def update(self, values: Any) -> None:
        """Add an array, or a list of arrays."""
        for piece in values if isinstance(values, list) else (values,):
            if piece.size:
                self._hash.update(np.ascontiguousarray(piece).view(np.uint8).data)

    def digest(self) -> bytes:
        """Return the hash."""
        return self._hash.digest()


class ColumnHash:
    """Hash a column, in as many parts as it comes in. Every part has the same type."""

    def __init__(self, first: Vector) -> None:
        self._type = first.type
        self.rows = self._missing = 0
        self._validity = Bits()
        sample = first.take(slice(0, 0)).present()
        self._buffers = [
            Bits() if isinstance(buffer, np.ndarray) and buffer.dtype == bool else Bytes()
            for buffer in sample.buffers()
        ]
        self._children = [(name, ColumnHash(child)) for name, child in sample.children()]

    def add(self, part: Vector) -> None:
        """Add rows."""
        for first in range(0, len(part), WINDOW):
            self._add(part.take(slice(first, first + WINDOW)))

    def _add(self, part: Vector) -> None:
        if part.type != self._type:
            raise NoForm(f"its parts have the types {self._type} and {part.type}")
        valid = part.valid
        missing = 0 if valid is None else len(valid) - int(np.count_nonzero(valid))
        if missing and not self._missing:
            for first in range(0, self.rows, WINDOW):
                self._validity.update(np.ones(min(WINDOW, self.rows - first), bool))
        self.rows += len(part)
        self._missing += missing
        if self._missing:
            self._validity.update(np.ones(len(part), bool) if valid is None else valid)
        present = part.present()
        for buffer, values in zip(self._buffers, present.buffers(), strict=True):
            buffer.update(values)
        for (_, child), (_, values) in zip(self._children, present.children(), strict=True):
            child.add(values)

    def digest(self) -> bytes:
        """Return the digest of the column."""
        h = sha256(text(self._type) + u64(self.rows) + u64(self._missing))
        h.update(self._validity.digest() if self._missing else sha256().digest())
        for buffer in self._buffers:
            h.update(buffer.digest())
        h.update(u32(len(self._children)))
        for name, child in self._children:
            h.update(text(name) + child.digest())
        return h.digest()


def column(values: Vector) -> bytes:
    """Return the digest of one column."""
    whole = ColumnHash(values)
    whole.add(values)
    return whole.digest()


def table(rows: int, columns: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Return the digest of a table from the encoded name and the digest of each column."""
    found = list(columns)
    return sha256(
        text("table") + u64(rows) + u32(len(found)) + b"".join(name + digest for name, digest in found)
    ).digest()


def tensor(shape: Sequence[int], values: bytes) -> bytes:
    """Return the digest of a tensor from its shape and the digest of its elements, the last index fastest."""
    return sha256(
        text("tensor") + u32(len(shape)) + b"".join(u64(length) for length in shape) + values
    ).digest()


def sparse(shape: Sequence[int], entries: bytes, indices: bytes, values: bytes) -> bytes:
    """Return the digest of a sparse matrix from the digests of the columns of its entries."""
    sizes = b"".join(u64(length) for length in shape)
    return sha256(text("sparse") + u32(len(shape)) + sizes + entries + indices + values).digest()


def group(kind: str, parts: Sequence[tuple[str, bytes]]) -> bytes:
    """Return the digest of named parts."""
    return sha256(
        text(kind) + u32(len(parts)) + b"".join(text(name) + digest for name, digest in parts)
    ).digest()
