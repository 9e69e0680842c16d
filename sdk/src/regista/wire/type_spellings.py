"""Read how ONNX, NumPy, pandas, Arrow, Polars, Spark and MLflow write a type.

float32  tensor(float)  <f4  torch.float32  FLOAT
float32[?,4]  float[N, 4]  tensor(float)[-1,4]  Tensor('float32', (-1, 4))
int64?  Int64  optional(tensor(int64))  Nullable(Int64)
timestamp[us, tz=UTC]  datetime64[ns, UTC]  list<item: double>  decimal128(10, 2)
"""

from __future__ import annotations

import re
from dataclasses import replace
from functools import lru_cache

from regista.wire.value_types import ANY, COLUMN, NUMBERS, Dimension, ValueType

DEEPEST = 20
"""Levels of nesting. A type that is nested deeper equals only itself."""

_SPELLINGS = {
    "bool": "bool bool_ boolean b1",
    "int8": "int8 i1 byte tinyint",
    "int16": "int16 i2 i16 short smallint",
    "int32": "int32 i4 i32 int integer intc",
    "int64": "int64 i8 i64 int_ intp long longlong bigint",
    "uint8": "uint8 u1 ubyte",
    "uint16": "uint16 u2 u16 ushort",
    "uint32": "uint32 u4 u32 uintc",
    "uint64": "uint64 u8 u64 ulong ulonglong",
    "float16": "float16 f2 half halffloat",
    "bfloat16": "bfloat16 bf16",
    "float32": "float32 f4 f32 float single real",
    "float64": "float64 f8 f64 float_ double",
    "complex64": "complex64 c8 csingle",
    "complex128": "complex128 c16 complex cdouble",
    "string": "string str str_ utf8 large_utf8 utf8_view large_string string_view unicode text varchar "
    "object object_ o category categorical enum",
    "bytes": "bytes bytes_ binary large_binary binary_view varbinary blob",
    "date": "date date32 date64",
    "timestamp": "timestamp timestamp_ntz datetime datetime64",
    "time": "time time32 time64",
    "duration": "duration timedelta timedelta64",
    ANY: ANY,
}
_ELEMENTS = {text: element for element, texts in _SPELLINGS.items() for text in texts.split()}
_TIMES = frozenset({"timestamp", "time", "duration", "date"})
_UNITS = {"day": "D", "d": "D", "s": "s", "ms": "ms", "us": "us", "µs": "us", "ns": "ns"}
_LISTS = frozenset({"list", "large_list", "list_view", "seq", "sequence", "array"})
_KEY_AND_VALUE = 2

_PREFIX = re.compile(
    r"^(?:(?:np|numpy|torch|tf|jnp|pl|polars|pa|pyarrow|onnx|TensorProto)\.|DT_|[<>=|](?=\w))"
)
"""A library's name, or NumPy's byte order."""
_SPARK = re.compile(r"^([A-Z][a-z]+)Type(?=\W|$)")
_QUOTED = re.compile(r"(?:<class|<dtype:|dtype\()\s*['\"]([^'\"]+)['\"]\s*[>)]")
_TENSOR_SPEC = re.compile(r"Tensor\(\s*['\"](.+?)['\"]\s*,\s*\((.*)\)\s*\)")
_NULLABLE_ENDING = re.compile(r"\s*(?:\?|\|\s*(?:null|none))", re.IGNORECASE)
_NOT_NULL = re.compile(r"\s+not null", re.IGNORECASE)
_PANDAS_NULLABLE = re.compile(r"U?Int(?:8|16|32|64)|Float(?:32|64)")
_OF_ARROW = "[pyarrow]"
"""The ending of pandas' types that Arrow stores. Such numbers may be missing."""
_FIXED_WIDTH = re.compile(r"([US])[0-9]+")
_PART_NAME = re.compile(r"(?:item|element|key|values?)\s*[:=]\s*", re.IGNORECASE)
_TIME_NAME = re.compile(r"(?:tz|time_zone|time_unit)\s*=\s*", re.IGNORECASE)
_ZONE = re.compile(r"[A-Z]{3,4}|\w+(?:/[\w+-]+)+|[+-]\d\d:?\d\d|[zZ]")
_UTC = frozenset({"utc", "etc/utc", "gmt", "z", "+00:00", "+0000"})
_SIZE = re.compile(r"[0-9]{1,18}")
_SYMBOL = re.compile(r"(?!none\b|null\b)[a-z_]\w*", re.IGNORECASE)
_ANY_SIZE = frozenset({"", "?", "-1", "*", ":", "none", "null"})
_EXPRESSION = re.compile(r"[-+*/%()\s\w.,]*[a-z_][-+*/%()\s\w.,]*", re.IGNORECASE)
"""A calculation with symbols, such as ONNX's `floor(width/2) + 1`."""
_BY_X = re.compile(
    r"(?:[0-9]+|\?|-1)(?:x(?:[0-9]+|\?|-1))+|(?:\w+|\?|-1)(?:(?: x | ?× ?)(?:\w+|\?|-1))+", re.IGNORECASE
)
"""Sizes as people and MLIR write them: `1x3x224x224`, `?x4`, `batch x 4`."""
_X = re.compile(r" x | ?× ?|(?<=[0-9?])x", re.IGNORECASE)
_NEXT_BRACKET = re.compile(r"\]\s*\[")
_OPENING, _CLOSING = "<([", ">)]"


@lru_cache(maxsize=4096)
def parsed(text: str) -> ValueType:
    """Return the type that the text writes."""
    return _type(" ".join(text.split()), 0)


def _unknown(text: str) -> ValueType:
    return ValueType("".join(text.lower().split()))


def _type(text: str, depth: int) -> ValueType:
    if depth > DEEPEST:
        return _unknown(text)
    if quoted := _QUOTED.fullmatch(text):
        text = quoted[1]
    if spec := _TENSOR_SPEC.fullmatch(text):
        return _shaped(_type(spec[1], depth + 1), spec[2]) or _unknown(text)
    if text.lower().endswith(_OF_ARROW):
        kept = _type(text[: -len(_OF_ARROW)].strip(), depth + 1)
        return replace(kept, nullable=kept.nullable or kept.element in NUMBERS)
    text = _without_ending(_NOT_NULL, text)
    if (value := _without_ending(_NULLABLE_ENDING, text)) != text:
        return replace(_type(value, depth + 1), nullable=True)
    text = _PREFIX.sub("", text, count=1)
    text = _SPARK.sub(r"\1", text)
    name, opening, inner, rest = _divided(text)
    found = _parameterized(name, opening, inner, depth) if opening else None
    if found is None:
        found, rest = _element(name), text[len(name) :].strip()
    if rest in {"", "()"}:
        return found
    is_tuple = rest.startswith("(") and rest.endswith(")") and found.element in NUMBERS
    if not is_tuple and not (rest.startswith("[") and rest.endswith("]")):
        return _unknown(text)
    fixed_list = name.lower() == "fixed_size_list" and found.shape == COLUMN
    return _shaped(found, f"?,{rest[1:-1]}" if fixed_list else rest[1:-1]) or _unknown(text)


def _without_ending(pattern: re.Pattern[str], text: str) -> str:
    """Return the text without an ending of that pattern. The whole text is no ending."""
    found = next((m for m in pattern.finditer(text, 1) if m.end() == len(text)), None)
    return text[: found.start()] if found else text


def _divided(text: str) -> tuple[str, str, str, str]:
    """Divide `name<inner>rest`, at brackets of any kind, into name, `<`, inner and rest."""
    start = next((n for n, c in enumerate(text) if c in _OPENING), len(text))
    level = 0
    for n in range(start, len(text)):
        level += (text[n] in _OPENING) - (text[n] in _CLOSING)
        if level == 0:
            return text[:start].strip(), text[start], text[start + 1 : n].strip(), text[n + 1 :].strip()
    return text, "", "", ""


def _pieces(inner: str) -> list[str]:
    """Divide at the commas that are in no bracket."""
    pieces, level = [""], 0
    for character in inner:
        level += (character in _OPENING) - (character in _CLOSING)
        if character == "," and level == 0:
            pieces.append("")
        else:
            pieces[-1] += character
    return [piece.strip() for piece in pieces if piece.strip()]


def _parameterized(name: str, opening: str, inner: str, depth: int) -> ValueType | None:
    """Return the type that a name with brackets writes; None when the brackets are no part of the name."""
    lower, element = name.lower(), _element(name).element
    if element in _TIMES:
        return _time(element, inner)
    if element == "string" and (opening != "[" or inner.lower().startswith(("python", "pyarrow"))):
        return ValueType("string")
    if lower in {"decimal", "decimal128", "decimal256", "numeric"}:
        return _decimal(name, inner)
    if lower in {"optional", "nullable"}:
        return replace(_type(inner, depth + 1), nullable=True)
    if lower == "tensor" and opening == "(":
        return _type(inner, depth + 1)
    if lower == "fixed_size_list":
        return _part(inner, depth)
    return _nested(lower, _pieces(inner), depth)


def _nested(name: str, pieces: list[str], depth: int) -> ValueType | None:
    if name in _LISTS and (
        len(pieces) == 1 or (len(pieces) == _KEY_AND_VALUE and pieces[1] in {"True", "False"})
    ):
        part = _part(pieces[0], depth)
        return (
            ValueType("list", parts=(("", part),)) if name != "array" or part.element in _SPELLINGS else None
        )
    if name == "map" and len(pieces) >= _KEY_AND_VALUE:
        return ValueType("map", parts=(("key", _part(pieces[0], depth)), ("value", _part(pieces[1], depth))))
    if name == "struct" and all(":" in piece for piece in pieces):
        fields = (piece.partition(":") for piece in pieces)
        parts = [(field.strip().strip("'\""), _type(type_.strip(), depth + 1)) for field, _, type_ in fields]
        return ValueType("struct", parts=tuple(sorted(parts, key=lambda part: part[0])))
    if name == "dictionary" and (values := [p for p in pieces if p.lower().startswith("values")]):
        return _part(values[0], depth)
    return None


def _part(text: str, depth: int) -> ValueType:
    return _type(_PART_NAME.sub("", text, count=1).strip(), depth + 1)


def _time(element: str, inner: str) -> ValueType | None:
    """Return a time with its resolution and its zone; None when the brackets hold something else."""
    unit = zone = ""
    for piece in _pieces(inner):
        text = _TIME_NAME.sub("", piece, count=1).strip("'\"")
        if text.lower() in _UNITS:
            unit = _UNITS[text.lower()]
        elif element == "timestamp" and (_ZONE.fullmatch(text) or text not in {piece, "None"}):
            zone = "UTC" if text.lower() in _UTC else text
        elif text != "None":
            return None
    if element == "timestamp" and unit == "D":
        element = "date"
    return ValueType(element, detail=zone, unit="" if element == "date" else unit)


def _decimal(name: str, inner: str) -> ValueType:
    digits = [piece.rpartition("=")[2].strip() for piece in _pieces(inner)]
    if not digits or not all(re.fullmatch(r"-?[0-9]{1,4}", one) for one in digits):
        return _unknown(f"{name}({inner})")
    precision, scale = (*map(int, digits), 0)[:2]
    return ValueType("decimal", digits=(precision, scale))


def _element(name: str) -> ValueType:
    if _PANDAS_NULLABLE.fullmatch(name):
        return ValueType(name.lower(), nullable=True)
    if name in {"M8", "m8"}:
        return ValueType("timestamp" if name == "M8" else "duration")
    if width := _FIXED_WIDTH.fullmatch(name):
        return ValueType("string" if width[1] == "U" else "bytes")
    element = _ELEMENTS.get(name.lower())
    if element == ANY:
        return ValueType(ANY, None, nullable=True)
    return ValueType(element) if element else _unknown(name)


def _shaped(of: ValueType, inner: str) -> ValueType | None:
    """Return the type with the sizes between the brackets; None where one of them cannot be read."""
    pieces = [piece.strip().strip("'\"") for piece in _NEXT_BRACKET.sub(",", inner).split(",")]
    if pieces[-1] == "":  # no dimension, or Python's tuple of one
        pieces.pop()
    if any(piece in {"...", "…"} for piece in pieces):
        return replace(of, shape=None)
    pieces = [one for piece in pieces for one in (_X.split(piece) if _BY_X.fullmatch(piece) else [piece])]
    if not all(map(_is_size, pieces)):
        return None
    read = [_dimension(piece) for piece in pieces]
    again = dict.fromkeys(d for d in read if isinstance(d, str) and read.count(d) > 1)
    names = {symbol: f"n{n}" for n, symbol in enumerate(again)}
    return replace(of, shape=tuple(d if isinstance(d, int) else names.get(d or "") for d in read))


def _is_size(text: str) -> bool:
    return text.lower() in _ANY_SIZE or bool(_SIZE.fullmatch(text) or _EXPRESSION.fullmatch(text))


def _dimension(text: str) -> Dimension:
    """Return a size, a symbol, or None for any size (`?`, `-1`, `None`, an expression of symbols)."""
    if _SIZE.fullmatch(text):
        return int(text)
    return text if _SYMBOL.fullmatch(text) else None
