"""NumPy arrays → vectors."""

from __future__ import annotations

import numpy as np

from regista.publishing.data.small_numbers import CANONICAL
from regista.publishing.data.vectors import Array, Fixed, Moments, NoForm, Texts, Vector, structs, texts

PER_SECOND = {"s": 1, "ms": 10**3, "us": 10**6, "ns": 10**9}
SECONDS = {"m": 60, "h": 3600, "D": 86400, "W": 7 * 86400}


def vector(values: Array, valid: Array | None = None, *, missing_nan: bool = False) -> Vector:
    """Return a one-dimensional array as a vector. Objects are read by `cells`.

    `missing_nan`: NaN marks a missing row, as in pandas. NaT always does. Raises NoForm.
    """
    kind, name = values.dtype.kind, values.dtype.name
    if name in CANONICAL or name == "bfloat16":  # types of ml_dtypes
        return Fixed(name, valid, np.ascontiguousarray(values).view(f"u{values.dtype.itemsize}"))
    if kind in "Mm":
        return _moments(values, valid)
    if kind in "biufc" and values.dtype.type not in {np.longdouble, np.clongdouble}:
        if missing_nan and kind in "fc":
            valid = _both(valid, ~np.isnan(values))
        return Fixed(name, valid, values)
    if kind in "fc":
        return _long(values, valid)
    if kind == "U":
        return texts("string", [one.encode("utf-8", "surrogatepass") for one in values.tolist()], valid)
    if kind == "S":
        return texts("binary", values.tolist(), valid)
    if kind == "V" and values.dtype.names is not None:
        fields = [(str(name), vector(values[name])) for name in values.dtype.names]
        return structs(fields, len(values), valid)
    if kind == "V" and values.dtype.subdtype is None and values.dtype.name.startswith("void"):
        return _raw("binary", values, valid)
    raise NoForm(f"the NumPy type {values.dtype} has no canonical form")


def _both(one: Array | None, other: Array) -> Array:
    return other if one is None else one & other


def _moments(values: Array, valid: Array | None) -> Vector:
    unit, step = np.datetime_data(values.dtype)
    missing = np.isnat(values)
    valid = _both(valid, ~missing) if missing.any() else valid
    date = values.dtype.kind == "M"
    if date and unit in {"Y", "M", "W", "D"}:
        return Fixed("date", valid, values.astype("M8[D]").astype("<i8"))
    type_ = "timestamp" if date else "duration"
    if unit == "generic":
        return Moments(type_, valid, values.astype("<i8"), 1)
    if unit in SECONDS or step != 1:
        base = "s" if unit in SECONDS else unit
        values, unit = values.astype(f"{values.dtype.kind}8[{base}]"), base
    if unit not in PER_SECOND:
        return Fixed(
            values.dtype.name, valid, values.astype("<i8")
        )  # picoseconds, months that are a duration
    return Moments(type_, valid, values.astype(values.dtype.newbyteorder("=")).view("i8"), PER_SECOND[unit])


def _long(values: Array, valid: Array | None) -> Vector:
    """Write extended floats as text: their bytes differ between machines, and hold unused ones."""
    name = "longdouble" if values.dtype.kind == "f" else "clongdouble"
    parts = [values] if values.dtype.kind == "f" else [values.real, values.imag]
    written = [
        " ".join(np.format_float_scientific(part[i] + 0, unique=True, trim="-") for part in parts).encode()
        for i in range(len(values))
    ]
    return texts(name, written, valid)


def _raw(type_: str, values: Array, valid: Array | None) -> Texts:
    width = values.dtype.itemsize
    data = np.frombuffer(values.tobytes(), np.uint8)
    return Texts(type_, valid, np.arange(len(values)) * width, np.full(len(values), width), (data,))
