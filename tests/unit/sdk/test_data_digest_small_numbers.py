"""Quantized values: numbers of 8 bits and fewer, in the types of ml_dtypes, which ONNX and JAX use."""

from __future__ import annotations

import ml_dtypes
import numpy as np
import pytest

from regista.publishing.data.numpy_columns import vector
from regista.publishing.data.small_numbers import CANONICAL
from regista.publishing.data.vectors import Fixed
from regista.publishing.data_digest import data_digest

BITS = {name: int(name.removeprefix("u").removeprefix("int")) for name in CANONICAL if "int" in name}
BITS |= {name: int(name.removeprefix("float").partition("_")[0]) for name in CANONICAL if "float" in name}
NAMES = sorted(BITS.keys() - {"float4_e2m1fn_x2"})


def every_value(name: str) -> np.ndarray:
    """Every bit pattern of a type."""
    return np.arange(1 << BITS[name], dtype=np.uint8).view(np.dtype(getattr(ml_dtypes, name)))


@pytest.mark.parametrize("name", NAMES)
def test_values_have_one_digest_if_and_only_if_they_are_equal(name: str) -> None:
    """NaN equals NaN, and 0 equals -0."""
    values = every_value(name)
    of_value: dict[float | None, set[str]] = {}
    for one, value in zip(values.reshape(-1, 1), values.astype(np.float64), strict=True):
        of_value.setdefault(None if np.isnan(value) else value + 0.0, set()).add(data_digest(one))
    assert {len(digests) for digests in of_value.values()} == {1}
    assert len(set.union(*of_value.values())) == len(of_value)


@pytest.mark.parametrize("name", [name for name in NAMES if "int" in name])
def test_bits_beyond_a_small_number_do_not_count(name: str) -> None:
    values = every_value(name)
    beyond = (values.view(np.uint8) | np.uint8(0xFF << BITS[name] & 0xFF)).view(values.dtype)
    assert np.array_equal(values, beyond)
    assert data_digest(values) == data_digest(beyond)


def test_the_same_bits_of_other_types_have_other_digests() -> None:
    bits = np.array([0, 1], np.uint8)
    made = {data_digest(bits.view(np.dtype(getattr(ml_dtypes, name)))) for name in NAMES}
    assert len({*made, data_digest(bits)}) == len(NAMES) + 1


@pytest.mark.parametrize("name", NAMES)
def test_bits_as_pytorch_gives_them_have_the_form_of_numpys_values(name: str) -> None:
    """PyTorch has no NumPy type for them, so the SDK reads its tensors as bytes with the type's name."""
    values = every_value(name)
    as_bytes = Fixed(name, None, values.view(np.uint8))
    assert [b.tobytes() for b in as_bytes.buffers()] == [b.tobytes() for b in vector(values).buffers()]


def test_two_floats_in_one_byte_have_one_zero_each() -> None:
    packed = Fixed("float4_e2m1fn_x2", None, np.array([0x00, 0x08, 0x80, 0x88, 0x91], np.uint8))
    assert packed.buffers()[0].tolist() == [0, 0, 0, 0, 0x91]


def test_the_canonical_nan_is_the_one_that_ml_dtypes_writes() -> None:
    for name in ("float8_e3m4", "float8_e4m3", "float8_e4m3fn", "float8_e5m2", "float8_e8m0fnu"):
        dtype = np.dtype(getattr(ml_dtypes, name))
        nan = np.array([np.nan], np.float32).astype(dtype)
        assert vector(nan).buffers()[0].tobytes() == nan.tobytes()
