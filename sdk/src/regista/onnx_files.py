"""Find the files that an ONNX model keeps its weights in, without a library: a part of Protocol Buffers.

Numbers of fields are those of onnx.proto. https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

import mmap
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath

from regista.errors import Invalid
from regista.local_errors import reading, shown

DEEPEST = 30
"""Levels of graphs in graphs."""
_MODEL_IR_VERSION, _MODEL_GRAPH, _MODEL_FUNCTIONS = 1, 7, 25
_TENSOR_EXTERNAL_DATA, _TENSOR_DATA_LOCATION, _EXTERNAL = 13, 14, 1
_INNER: Mapping[str, Mapping[int, str]] = {
    "model": {_MODEL_GRAPH: "graph", _MODEL_FUNCTIONS: "function"},
    "graph": {1: "node", 5: "tensor", 15: "sparse"},
    "function": {7: "node"},
    "node": {5: "attribute"},
    "attribute": {5: "tensor", 6: "graph", 10: "tensor", 11: "graph", 22: "sparse", 23: "sparse"},
    "sparse": {1: "tensor", 2: "tensor"},
}
"""Messages inside a message, by the number of their field."""


class NotOnnx(ValueError):  # noqa: N818 - names what the file is
    """The file is no ONNX model."""


def check_weights(files: Mapping[str, Path]) -> None:
    """Raise Invalid when an ONNX model among these files keeps weights in a file that is not among them."""
    for name, path in files.items():
        if not name.endswith(".onnx"):
            continue
        try:
            wanted = weight_files(path)
        except NotOnnx:
            continue  # its name proves nothing: only a session needs a model
        folder = PurePosixPath(name).parent
        if missing := sorted(one for one in wanted if (folder / one).as_posix() not in files):
            raise Invalid(
                "onnx_incomplete",
                f"{name} keeps its weights in {', '.join(missing[:5])}, which the artifact does not have",
                advice="Publish the folder with all of them, or save the model in one file "
                "(`onnx.save(model, path)` without external data).",
            )


def weight_files(path: Path) -> set[str]:
    """Return the files with weights of a model, relative to its folder. Raises NotOnnx and Invalid."""
    with reading(shown(str(path))), path.open("rb") as file:
        if not path.stat().st_size:
            raise NotOnnx("it is empty")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as raw:
            top = {number for number, _, _ in _fields(raw, 0, len(raw))}
            if not {_MODEL_IR_VERSION, _MODEL_GRAPH} <= top:
                raise NotOnnx("it has no graph")
            return set(_locations(raw, "model", 0, len(raw), 0))


def _locations(raw: mmap.mmap, kind: str, start: int, end: int, depth: int) -> Iterator[str]:
    if depth > DEEPEST:
        raise NotOnnx(f"it has more than {DEEPEST} levels")
    if kind == "tensor":
        yield from _locations_of_tensor(raw, start, end)
        return
    for number, first, last in _fields(raw, start, end):
        if inner := _INNER[kind].get(number):
            yield from _locations(raw, inner, first, last, depth + 1)


def _locations_of_tensor(raw: mmap.mmap, start: int, end: int) -> Iterator[str]:
    entries: list[tuple[int, int]] = []
    external = False
    for number, first, last in _fields(raw, start, end):
        if number == _TENSOR_DATA_LOCATION:
            external = _number(raw, first, last)[0] == _EXTERNAL
        elif number == _TENSOR_EXTERNAL_DATA:
            entries.append((first, last))
    for first, last in entries if external else ():
        pair = {number: raw[begin:stop] for number, begin, stop in _fields(raw, first, last)}
        if pair.get(1) == b"location":
            yield pair.get(2, b"").decode("utf-8", "replace").removeprefix("./")


def _fields(raw: mmap.mmap, start: int, end: int) -> Iterator[tuple[int, int, int]]:
    """Return the number of each field of a message, and where its value begins and ends. Raises NotOnnx."""
    at = start
    while at < end:
        key, at = _number(raw, at, end)
        number, form = key >> 3, key & 7
        if form == 0:
            last = _number(raw, at, end)[1]
        elif form == 2:
            size, at = _number(raw, at, end)
            last = at + size
        elif form in {1, 5}:
            last = at + (8 if form == 1 else 4)
        else:
            raise NotOnnx("it is no message of Protocol Buffers")
        if last > end or not number:
            raise NotOnnx("it is no message of Protocol Buffers")
        yield number, at, last
        at = last


def _number(raw: mmap.mmap, at: int, end: int) -> tuple[int, int]:
    """Return a number of variable length, and where it ends."""
    value = 0
    for shift in range(0, 70, 7):
        if at >= end:
            break
        byte = raw[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise NotOnnx("it is no message of Protocol Buffers")
