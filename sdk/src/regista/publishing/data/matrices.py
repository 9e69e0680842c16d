"""Sparse matrices of SciPy and PyTorch, tensors of PyTorch, and XGBoost's DMatrix."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from regista.publishing.data import numpy_columns
from regista.publishing.data.column_hash import column, sparse
from regista.publishing.data.vectors import Array, Fixed, NoForm, Vector

DMATRIX_NUMBERS = (
    "label",
    "weight",
    "base_margin",
    "label_lower_bound",
    "label_upper_bound",
    "feature_weights",
)


def scipy_sparse(matrix: Any, *, zeros: bool = False) -> bytes:
    """Return the digest of a sparse matrix or array of SciPy, of any format.

    Stored zeros are left out, unless `zeros`; values stored for one element are added, as SciPy does.
    """
    if len(matrix.shape) != 2:
        coo = matrix.tocoo()
        return _coordinates(matrix.shape, [np.asarray(one) for one in coo.coords], coo.data)
    rows = matrix.tocsr()
    if not rows.has_canonical_format:
        rows = rows.copy()
        rows.sum_duplicates()
    if not zeros and not rows.data.all():
        rows = rows.copy()
        rows.eliminate_zeros()
    return _entries(matrix.shape, np.diff(rows.indptr), rows.indices, rows.data)


def _entries(shape: Sequence[int], counts: Array, indices: Array, values: Array) -> bytes:
    return sparse(
        shape,
        column(Fixed("uint64", None, counts.astype("<u8"))),
        column(Fixed("uint64", None, indices.astype("<u8"))),
        column(numpy_columns.vector(values)),
    )


def _coordinates(shape: Sequence[int], coordinates: list[Array], values: Array) -> bytes:
    """Return the digest of a sparse tensor from the indices of its entries, in any order, some repeated."""
    order = np.lexsort(coordinates[::-1])
    coordinates, values = [one[order] for one in coordinates], values[order]
    if len(values):
        other = np.any([one[1:] != one[:-1] for one in coordinates], axis=0)
        first = np.concatenate(([0], np.flatnonzero(other) + 1))
        values = np.add.reduceat(values, first).astype(values.dtype)
        kept = values != 0
        coordinates, values = [one[first][kept] for one in coordinates], values[kept]
    lines = [int(length) for length in shape[:-1]]
    line = np.ravel_multi_index(tuple(coordinates[:-1]), lines) if lines else np.zeros(len(values), np.int64)
    counts = np.bincount(line, minlength=int(np.prod(lines, dtype=np.int64)))
    return _entries(shape, counts, coordinates[-1], values)


def torch_digest(tensor: Any, dense: Callable[[tuple[int, ...], Vector], bytes]) -> bytes:
    """Return the digest of a tensor of PyTorch, on any device; `dense` gives that of a dense one."""
    kept = tensor.detach().cpu()
    if kept.is_quantized:
        raise NoForm("it is quantized: pass tensor.dequantize()")
    if kept.is_nested:
        raise NoForm("it is nested: pass list(tensor.unbind())")
    if str(kept.layout) != "torch.strided":
        coo = kept.to_sparse_coo().coalesce()
        if coo.dense_dim():
            coo = kept.to_dense().to_sparse().coalesce()
        return _coordinates(tuple(kept.shape), list(coo.indices().numpy()), _torch_array(coo.values())[1])
    name, values = _torch_array(kept.resolve_conj().resolve_neg())
    flat = np.ascontiguousarray(values).reshape(-1)
    return dense(tuple(kept.shape), Fixed(name, None, flat) if name else numpy_columns.vector(flat))


def _torch_array(tensor: Any) -> tuple[str, Array]:
    """Return the values, and the name of a type that NumPy does not have, as unsigned numbers."""
    name = str(tensor.dtype).removeprefix("torch.")
    if name.startswith(("bfloat", "float8", "float4")):
        torch = sys.modules["torch"]
        bits = tensor.contiguous().view(torch.int16 if name == "bfloat16" else torch.uint8)
        return name, bits.numpy().view(f"u{bits.element_size()}")
    return "", tensor.numpy()


def dmatrix_parts(matrix: Any) -> Iterator[tuple[str, Any]]:
    """Return what a DMatrix of XGBoost holds, by name; stored zeros differ from missing values there."""
    rows = matrix.get_data()
    yield "data", rows
    for name in DMATRIX_NUMBERS:
        values = matrix.get_float_info(name)
        if len(values):
            yield name, values
    groups = matrix.get_uint_info("group_ptr")
    if len(groups):
        yield "group_ptr", groups
    for name in ("feature_names", "feature_types"):
        if given := getattr(matrix, name):
            yield name, list(given)
