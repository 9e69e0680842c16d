"""Arrow arrays → vectors, by the format strings of the Arrow C data interface."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import msgspec
import numpy as np

from regista.publishing.data.arrow_memory import Chunk, Field, read_stream
from regista.publishing.data.column_hash import column
from regista.publishing.data.scalars import period_type, scaled_text, zone_name
from regista.publishing.data.vectors import (
    Array,
    Fixed,
    Lists,
    Moments,
    NoForm,
    Texts,
    Vector,
    empty,
    mixed,
    structs,
    texts,
)

PLAIN = {
    "c": ("int8", "i1"),
    "C": ("uint8", "u1"),
    "s": ("int16", "i2"),
    "S": ("uint16", "u2"),
    "i": ("int32", "i4"),
    "I": ("uint32", "u4"),
    "l": ("int64", "i8"),
    "L": ("uint64", "u8"),
    "e": ("float16", "f2"),
    "f": ("float32", "f4"),
    "g": ("float64", "f8"),
    "tiM": ("interval_month", "i4"),
    "tiD": ("interval_day_time", "V8"),
    "tin": ("interval_month_day_nano", "V16"),
    "_pli128": ("int128", "V16"),
    "_plu128": ("uint128", "V16"),
    "_plf16": ("float16", "f2"),
}
"""Types with values of a fixed size: our name, and NumPy's."""
UNITS = {"s": 1, "m": 10**3, "u": 10**6, "n": 10**9}


def vectors(data: Any) -> Iterator[Vector]:
    """Return the parts of a column that a library exports to Arrow, one without rows first."""
    for field, chunk in read_stream(data):
        yield vector(field, chunk)


def vector(field: Field, chunk: Chunk) -> Vector:
    """Return the array as a vector. Raises NoForm for a type that has no canonical form."""
    return _extension(field, _stored(field, chunk))


def _stored(field: Field, chunk: Chunk) -> Vector:
    form = field.format
    if field.dictionary is not None and chunk.dictionary is not None:
        codes = _plain(PLAIN[form][1], chunk)
        return decoded(codes, _valid(chunk), vector(field.dictionary, chunk.dictionary))
    if form in PLAIN:
        return Fixed(PLAIN[form][0], _valid(chunk), _plain(PLAIN[form][1], chunk))
    if form == "n":
        return empty(chunk.length)
    if form == "b":
        return Fixed("bool", _valid(chunk), _bits(chunk, 1))
    for start, read in READERS.items():
        if form.startswith(start):
            return read(field, chunk)
    raise NoForm(f"the Arrow type {form!r} has no canonical form")


def _valid(chunk: Chunk) -> Array | None:
    if not chunk.null_count or not chunk.addresses or not chunk.addresses[0]:
        return None
    return _bits(chunk, 0)


def _bits(chunk: Chunk, index: int) -> Array:
    end = chunk.offset + chunk.length
    raw = chunk.buffer(index, "u1", (end + 7) // 8)
    return np.unpackbits(raw, count=end, bitorder="little")[chunk.offset :].view(bool)


def _plain(dtype: str, chunk: Chunk) -> Array:
    return chunk.buffer(1, dtype, chunk.offset + chunk.length)[chunk.offset :]


def decoded(codes: Array, valid: Array | None, values: Vector) -> Vector:
    """Return the values that the codes select: a dictionary is an encoding, not a type."""
    if valid is not None and not valid.all():
        if not len(values):
            return values.blank(len(codes))
        codes = np.where(valid, codes, 0)
    chosen = values.take(codes.astype(np.int64, copy=False))
    if valid is None:
        return chosen
    return replace(chosen, valid=valid if chosen.valid is None else valid & chosen.valid)


def _date(field: Field, chunk: Chunk) -> Vector:
    days = _plain("i4", chunk) if field.format == "tdD" else _plain("i8", chunk) // 86_400_000
    return Fixed("date", _valid(chunk), days.astype("i8", copy=False))


def _time(field: Field, chunk: Chunk) -> Vector:
    unit = field.format[2]
    values = _plain("i4" if unit in "sm" else "i8", chunk).astype("i8", copy=False)
    return Fixed("time", _valid(chunk), values * (10**9 // UNITS[unit]))


def _timestamp(field: Field, chunk: Chunk) -> Vector:
    zone = field.format[4:]
    type_ = f"timestamp[{zone_name(zone)}]" if zone else "timestamp"
    return Moments(type_, _valid(chunk), _plain("i8", chunk), UNITS[field.format[2]])


def _duration(field: Field, chunk: Chunk) -> Vector:
    return Moments("duration", _valid(chunk), _plain("i8", chunk), UNITS[field.format[2]])


def _text(field: Field, chunk: Chunk) -> Vector:
    offsets = _offsets("i4" if field.format in "uz" else "i8", chunk)
    data = chunk.buffer(2, "u1", int(offsets[-1]))
    return Texts(_text_type(field), _valid(chunk), offsets[:-1], np.diff(offsets), (data,))


def _text_type(field: Field) -> str:
    return "string" if field.format[-1] in "uU" else "binary"


def _offsets(dtype: str, chunk: Chunk) -> Array:
    if not chunk.length:  # such an array may have no offsets at all
        return np.zeros(1, np.int64)
    return chunk.buffer(1, dtype, chunk.offset + chunk.length + 1)[chunk.offset :].astype(
        np.int64, copy=False
    )


def _text_view(field: Field, chunk: Chunk) -> Vector:
    """Read views: a length, then up to 12 bytes, or a prefix, the number of a buffer, and an offset in it."""
    end = chunk.offset + chunk.length
    inline = chunk.buffer(1, "u1", 16 * end)
    parts = chunk.buffer(1, "i4", 4 * end).reshape(-1, 4)[chunk.offset :]
    outside = len(chunk.addresses) - 3
    sizes = chunk.buffer(len(chunk.addresses) - 1, "i8", outside)
    data = (inline, *(chunk.buffer(2 + i, "u1", int(size)) for i, size in enumerate(sizes)))
    lengths = parts[:, 0].astype(np.int64)
    far = lengths > 12
    starts = np.where(far, parts[:, 3], 16 * np.arange(chunk.offset, end) + 4)
    which = np.where(far, parts[:, 2] + 1, 0)
    return Texts(_text_type(field), _valid(chunk), starts, lengths, data, which)


def _fixed_binary(field: Field, chunk: Chunk) -> Vector:
    width = int(field.format[2:])
    data = chunk.buffer(1, "u1", (chunk.offset + chunk.length) * width)
    starts = np.arange(chunk.offset, chunk.offset + chunk.length) * width
    return Texts("binary", _valid(chunk), starts, np.full(chunk.length, width, np.int64), (data,))


def _decimal(field: Field, chunk: Chunk) -> Vector:
    _, scale, *bits = (int(part) for part in field.format[2:].split(","))
    width = (bits[0] if bits else 128) // 8
    raw = chunk.buffer(1, "u1", (chunk.offset + chunk.length) * width)[chunk.offset * width :].tobytes()
    valid = _valid(chunk)
    unscaled = (int.from_bytes(raw[i : i + width], "little", signed=True) for i in range(0, len(raw), width))
    return texts("decimal", [scaled_text(number, scale).encode() for number in unscaled], valid)


def _list(field: Field, chunk: Chunk) -> Vector:
    offsets = _offsets("i4" if field.format in {"+l", "+m"} else "i8", chunk)
    return _lists(field, chunk, offsets[:-1], np.diff(offsets))


def _list_view(field: Field, chunk: Chunk) -> Vector:
    dtype, end = ("i4" if field.format == "+vl" else "i8"), chunk.offset + chunk.length
    starts, lengths = (chunk.buffer(i, dtype, end)[chunk.offset :].astype(np.int64) for i in (1, 2))
    return _lists(field, chunk, starts, lengths)


def _fixed_list(field: Field, chunk: Chunk) -> Vector:
    size = int(field.format[3:])
    starts = np.arange(chunk.offset, chunk.offset + chunk.length) * size
    return _lists(field, chunk, starts, np.full(chunk.length, size, np.int64))


def _lists(field: Field, chunk: Chunk, starts: Array, lengths: Array) -> Vector:
    of_items, type_, name = field.children[0], "list", "item"
    if field.format == "+m":  # libraries name the parts of an entry differently
        parts = zip(of_items.children, ("key", "value"), strict=True)
        of_items = replace(of_items, children=tuple(replace(part, name=named) for part, named in parts))
        type_, name = "map", "entry"
    return Lists(type_, _valid(chunk), starts, lengths, vector(of_items, chunk.children[0]), name)


def _struct(field: Field, chunk: Chunk) -> Vector:
    rows = slice(chunk.offset, chunk.offset + chunk.length)
    fields = [
        (child.name, vector(child, data).take(rows))
        for child, data in zip(field.children, chunk.children, strict=True)
    ]
    return structs(fields, chunk.length, _valid(chunk))


def _runs(field: Field, chunk: Chunk) -> Vector:
    ends = vector(field.children[0], chunk.children[0])
    rows = np.arange(chunk.offset, chunk.offset + chunk.length)
    run = np.searchsorted(ends.values if isinstance(ends, Fixed) else rows, rows, side="right")
    return vector(field.children[1], chunk.children[1]).take(run)


def _union(field: Field, chunk: Chunk) -> Vector:
    """Read each row as a value of its own: rows of one type count as they do in a column of that type."""
    kinds = [int(kind) for kind in field.format.partition(":")[2].split(",")]
    selected = chunk.buffer(0, "i1", chunk.offset + chunk.length)[chunk.offset :]
    rows = np.arange(chunk.offset, chunk.offset + chunk.length)
    if field.format.startswith("+ud"):
        rows = chunk.buffer(1, "i4", chunk.offset + chunk.length)[chunk.offset :]
    children = [vector(child, data) for child, data in zip(field.children, chunk.children, strict=True)]
    chosen = [
        children[kinds.index(kind)].take(slice(row, row + 1))
        for kind, row in zip(selected.tolist(), rows.tolist(), strict=True)
    ]
    valid = np.array([one.valid is None or bool(one.valid[0]) for one in chosen], bool)
    return mixed([column(one) for one in chosen], valid=valid)


READERS: dict[str, Callable[[Field, Chunk], Vector]] = {
    "td": _date,
    "tt": _time,
    "ts": _timestamp,
    "tD": _duration,
    "vu": _text_view,
    "vz": _text_view,
    "u": _text,
    "U": _text,
    "z": _text,
    "Z": _text,
    "w:": _fixed_binary,
    "d:": _decimal,
    "+vl": _list_view,
    "+vL": _list_view,
    "+l": _list,
    "+L": _list,
    "+m": _list,
    "+w:": _fixed_list,
    "+s": _struct,
    "+ud": _union,
    "+us": _union,
    "+r": _runs,
}
"""Readers by the start of the format."""


def _extension(field: Field, stored: Vector) -> Vector:
    """Return a vector of an extension type: its type names the extension, its values are those stored."""
    name = field.metadata.get("ARROW:extension:name", b"").decode("utf-8", "replace")
    details = field.metadata.get("ARROW:extension:metadata", b"")
    if not name:
        return stored
    if name == "arrow.bool8" and isinstance(stored, Fixed):
        return Fixed("bool", stored.valid, stored.values != 0)
    if name == "arrow.uuid":
        return replace(stored, type="uuid")
    if name == "pandas.period":
        return replace(stored, type=period_type(msgspec.json.decode(details)["freq"]))
    if name == "pandas.interval":
        return replace(stored, type=f"interval[{msgspec.json.decode(details)['closed']}]")
    return replace(stored, type=f"extension[{name}:{details.decode('utf-8', 'surrogateescape')}]")
