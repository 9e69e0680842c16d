"""Digests of data: frames, arrays, matrices, files. docs/data-digest.md defines them."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, TypeVar

from regista.errors import Invalid, NotConfigured
from regista.files import hash_file, manifest_of
from regista.local_errors import reading
from regista.own_imports import own
from regista.publishing.data.encoding import combined, content

T = TypeVar("T")
ADVICE = (
    "Convert it (to text, numbers, timestamps or lists), leave it out, or pass a digest that you computed "
    "yourself (`digest=`)."
)

FORM_1, FORM_2 = "sha256:", "rdh2:"
"""How digests of each form begin. Digests of form 1 stay valid; new ones have form 2."""


def data_digest(*parts: Any) -> str:
    """Return `rdh2:<hex>` of data that belong together (features and labels, several files), in this order.

    `parts` are data frames (pandas, polars, pyarrow, anything that exports Arrow), arrays and tensors (NumPy,
    PyTorch), sparse matrices, XGBoost's DMatrix, paths of files and folders, bytes, lists and plain values.
    Two frames of any library have one digest if and only if their names, types, order and values are equal;
    memory layout, byte order, units of time and dictionary encoding do not count. A lazy frame is computed.
    Raises Invalid for data without a canonical form, naming the column and its type.
    """
    return _digest(parts, FORM_2)


def dataset_digest(parts: Sequence[Any], given: str = "") -> str:
    """Return the digest to record for data: `given` if there is one. Raises Invalid if it is not theirs.

    A digest that another tool computed is recorded without a check.
    """
    if not given:
        return data_digest(*parts)
    if parts and given.startswith((FORM_1, FORM_2)) and not same_data(given, *parts):
        raise Invalid(
            "other_data",
            f"the digest {given[:20]}… is not the one of these data; theirs is {data_digest(*parts)}",
            advice="Pass the data that the digest was made of, or leave the digest out.",
        )
    return given


def columns_of(data: Any) -> list[str] | None:
    """Return the names of the columns of a frame, as text; None for anything else."""
    if isinstance(data, str | Path | bytes | bytearray | memoryview | list | tuple | dict):
        return None

    def names() -> list[str] | None:
        with own():
            from regista.publishing.data.frames import names_of  # noqa: PLC0415 - imports NumPy

        return names_of(data)

    return _with_numpy(names)


def same_data(digest: str, *parts: Any) -> bool:
    """Return whether `digest` is the one of these data, in the form in which the digest was made.

    Raises Invalid for a digest of another kind: only who made it can compute it again.
    """
    for form in (FORM_1, FORM_2):
        if digest.startswith(form):
            return _digest(parts, form) == digest
    raise Invalid(
        "digest_unknown",
        f"{digest!r:.80} is neither a digest of form 1 (sha256:…) nor of form 2 (rdh2:…)",
        advice="Compare it with the tool that computed it.",
    )


def _digest(parts: Sequence[Any], form: str) -> str:
    if not parts:
        raise Invalid(
            "no_data",
            "there are no data to digest: all empty data would have the same digest",
            advice="Pass the data, or a digest that you computed (`digest=`).",
        )
    if form == FORM_1:
        return _with_numpy(lambda: _form_1(parts))
    return combined([_part(part) for part in parts])


def _part(part: Any) -> bytes:
    if isinstance(part, str | Path):
        path = _existing(part)
        if path.is_dir():
            return content("folder", manifest_of(path, follow_links=True).digest.removeprefix("sha256:"))
        with reading(str(path)):
            return content("file", hash_file(path)[0])
    if isinstance(part, bytes | bytearray | memoryview):
        return content("bytes", sha256(part).hexdigest())
    return _with_numpy(lambda: _in_memory(part))


def _existing(given: str | Path) -> Path:
    """Return the path of a file or folder of data. Raises Invalid."""
    path = Path(given)
    with contextlib.suppress(OSError, ValueError):  # too long for a path, or with a NUL
        if path.is_file() or path.is_dir():
            return path
    raise Invalid(
        "data_missing",
        f"there is no file or folder {str(given)!r:.200}",
        advice="A text is the path of data. Read the data and pass them, or pass `digest=`.",
    )


def _in_memory(part: Any) -> bytes:
    with own():
        from regista.publishing.data.parts import digest_part  # noqa: PLC0415 - imports NumPy
        from regista.publishing.data.vectors import NoForm  # noqa: PLC0415

    try:
        return digest_part(part)
    except NoForm as e:
        name = f"{type(part).__module__.partition('.')[0]}.{type(part).__name__}".removeprefix("builtins.")
        raise Invalid("no_digest", f"the {name} has no digest: {e}", advice=ADVICE) from None


def _form_1(parts: Sequence[Any]) -> str:
    from regista.publishing.data import form_1  # noqa: PLC0415 - needs NumPy for arrays

    return form_1.data_digest(*parts)


def _with_numpy(digest: Callable[[], T]) -> T:
    try:
        return digest()
    except ModuleNotFoundError as e:
        raise NotConfigured(
            "module_missing",
            f"a digest of these data needs {e.name}",
            advice=f"Install it: pip install {e.name}",
        ) from None
