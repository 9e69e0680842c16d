"""Numbers of 8 bits and fewer, as quantized tensors have them: one byte each, one zero, one NaN.

The names are those of ml_dtypes and PyTorch. Neither library is needed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]
_CODES = np.arange(256, dtype=np.uint8)


def _whole(bits: int) -> Array:
    """Return the table of two's complement numbers, or unsigned ones: the bits beyond count for nothing."""
    return _CODES & np.uint8((1 << bits) - 1)


def _float(bits: int, largest: int, nan: int) -> Array:
    """Return the table of floats with a sign bit: beyond the magnitude `largest` every number is NaN."""
    codes = _whole(bits)
    sign = np.uint8(1 << (bits - 1))
    magnitudes = codes & ~sign
    return np.where(magnitudes > largest, np.uint8(nan), np.where(codes == sign, np.uint8(0), codes))


def _of_pairs(table: Array) -> Array:
    """Return the table of two numbers of 4 bits in one byte."""
    pairs: Array = table[_CODES & 0x0F] | (table[_CODES >> 4] << 4)
    return pairs


_FLOAT4 = _float(4, 0x7, 0)

CANONICAL: Mapping[str, Array] = {
    **{f"{sign}int{bits}": _whole(bits) for sign in ("", "u") for bits in (1, 2, 4)},
    "float4_e2m1fn": _FLOAT4,
    "float4_e2m1fn_x2": _of_pairs(_FLOAT4),
    "float6_e2m3fn": _float(6, 0x1F, 0),
    "float6_e3m2fn": _float(6, 0x1F, 0),
    "float8_e3m4": _float(8, 0x70, 0x78),
    "float8_e4m3": _float(8, 0x78, 0x7C),
    "float8_e4m3fn": _float(8, 0x7E, 0x7F),
    "float8_e5m2": _float(8, 0x7C, 0x7E),
    # One zero and one NaN (0x80; of e8m0fnu 0xff), so every byte is canonical.
    **dict.fromkeys(
        ("float8_e4m3b11fnuz", "float8_e4m3fnuz", "float8_e5m2fnuz", "float8_e8m0fnu"), _whole(8)
    ),
}
"""For each type the canonical byte of every byte."""
