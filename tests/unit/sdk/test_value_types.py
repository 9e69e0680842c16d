"""Types of inputs and outputs: spellings that mean the same, and what accepts the values of what.

The law is checked against values, by rules that do not use the code under test: `Meaning` states which values
a type takes, and gives values at its limits.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from regista.wire.type_spellings import DEEPEST, parsed
from regista.wire.value_types import accepts, rounds

SAME: tuple[tuple[str, ...], ...] = (
    (
        "float32",
        "float",
        "FLOAT",
        "tensor(float)",
        "<f4",
        "f4",
        "torch.float32",
        "np.float32",
        "tf.float32",
        "DT_FLOAT",
        "<class 'numpy.float32'>",
        "<dtype: 'float32'>",
        "dtype('float32')",
        " Float ",
    ),
    (
        "float32[?,4]",
        "float32[?, 4]",
        "float[-1,4]",
        "float[N,4]",
        "tensor(float)[batch,4]",
        "float[None, 4]",
        "Tensor('float32', (-1, 4))",
        "FLOAT[*,4]",
        "float32 [ ? , 4 ]",
        "fixed_size_list<item: float>[4]",
        "float32[?x4]",
        "float[batch x 4]",
        "float32[?][4]",
        "float[floor(n/2) + 1, 4]",
    ),
    (
        "float64",
        "double",
        "tensor(double)",
        "f8",
        "torch.float64",
        "pa.float64()",
    ),
    (
        "float16",
        "half",
        "halffloat",
        "<f2",
    ),
    (
        "int64",
        "long",
        "tensor(int64)",
        "i8",
        "<i8",
        "bigint",
        "INT64",
        "torch.long",
        "int_",
    ),
    (
        "int32",
        "integer",
        "int",
        "i4",
    ),
    (
        "uint8",
        "u1",
        "tensor(uint8)",
    ),
    (
        "bool",
        "bool_",
        "boolean",
        "tensor(bool)",
        "BOOL",
        "|b1",
    ),
    (
        "string",
        "object",
        "str",
        "utf8",
        "large_utf8",
        "large_string",
        "tensor(string)",
        "<U10",
        "O",
        "category",
        "string[pyarrow]",
        "string[python]",
        "dictionary<values=string, indices=int32, ordered=0>",
    ),
    (
        "bytes",
        "binary",
        "large_binary",
        "|S5",
    ),
    (
        "date",
        "date32[day]",
        "datetime64[D]",
        "date32",
    ),
    (
        "timestamp[us]",
        "datetime64[us]",
        "M8[us]",
        "<M8[us]",
        "Datetime(time_unit='us', time_zone=None)",
    ),
    (
        "timestamp[ns, tz=UTC]",
        "datetime64[ns, UTC]",
        "timestamp[ns, tz=+00:00]",
        "datetime64[ns, Etc/UTC]",
    ),
    (
        "duration[ns]",
        "timedelta64[ns]",
        "m8[ns]",
    ),
    (
        "int64?",
        "Int64",
        "optional(tensor(int64))",
        "Nullable(Int64)",
        "int64 | null",
        "Optional[int64]",
        "int64[pyarrow]",
    ),
    (
        "list<float64>",
        "list<item: double>",
        "list[float64]",
        "large_list<item: double not null>",
        "List(double)",
    ),
    (
        "decimal(10,2)",
        "decimal128(10, 2)",
        "Decimal(precision=10, scale=2)",
    ),
    (
        "struct<a: int64, b: string>",
        "struct<b: utf8, a: long>",
    ),
    (
        "map<string, int64>",
        "map(utf8, long)",
    ),
    (
        "float32[N,N]",
        "float[M, M]",
    ),
    (
        "float32[...]",
        "tensor(float)[…]",
    ),
    (
        "any",
        "ANY",
    ),
)


@pytest.mark.parametrize("spellings", SAME, ids=lambda spellings: spellings[0])
def test_all_spellings_of_a_type_are_one_type(spellings):
    assert {str(parsed(spelling)) for spelling in spellings} == {str(parsed(spellings[0]))}
    assert len({parsed(spelling) for spelling in spellings}) == 1


@pytest.mark.parametrize(
    ("text", "same"),
    [
        ("FLOAT(?, 4)", "float32[?,4]"),
        ("float32 (-1, 4)", "float32[?,4]"),
        ("LongType()", "int64"),
        ("DoubleType", "float64"),
        ("StringType()", "string"),
        ("ArrayType(DoubleType(), True)", "list<double>"),
        ("varchar(20)", "string"),
        ("timestamp[ns][pyarrow]", "timestamp[ns]"),
        ("float32[1x3x224x224]", "float32[1,3,224,224]"),
        ("FLOAT[1×3]", "float32[1,3]"),
        ("double[2][3]", "float64[2,3]"),
        ("double[pyarrow]", "Float64"),
    ],
)
def test_shapes_as_tuples_and_types_of_spark_are_read(text, same):
    assert parsed(text) == parsed(same)


def test_types_of_different_groups_are_different():
    assert len({parsed(spellings[0]) for spellings in SAME}) == len(SAME)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "?",
        "((((",
        "float32[?,4",
        "MyType",
        "interval[int64, right]",
        "list<>",
        "float32[3;4]",
        "float32[2*4]",
        "float32[4.0]",
        "float32[12345678901234567890]",
    ],
)
def test_a_text_that_is_no_known_type_accepts_itself_only(text):
    assert accepts(parsed(text), parsed(text))
    assert not accepts(parsed("float32"), parsed(text))
    assert not accepts(parsed(text), parsed("float32"))


def test_a_type_that_is_nested_too_deep_is_read_all_the_same():
    assert parsed("list<" * 90 + "float" + ">" * 90) == parsed("list<" * 90 + "float" + ">" * 90)
    assert (
        accepts(parsed("list<" * (DEEPEST - 1) + "double" + ">" * (DEEPEST - 1)), parsed("list<" * 3))
        is False
    )


NUMBERS = ("int8", "int16", "int32", "int64", "uint8", "uint16", "uint32", "uint64", "float16", "float32")
NUMBERS += ("float64", "complex64", "complex128")


@pytest.mark.parametrize(("old", "new"), list(itertools.product(NUMBERS, NUMBERS)))
def test_numbers_widen_as_numpy_casts_safely(old, new):
    safe = bool(np.can_cast(old, new, "safe"))
    if "complex" in new and "complex" not in old:
        safe = False  # a model of complex numbers is another model
    assert accepts(parsed(new), parsed(old)) is safe


@dataclass(frozen=True)
class Meaning:
    """How a type is written, which values it takes, and values of it, those at its limits among them."""

    spellings: tuple[str, ...]
    takes: Callable[[Any], bool]
    values: tuple[Any, ...]


def _integers(bits: int, signed: bool) -> Meaning:
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    name = f"{'' if signed else 'u'}int{bits}"
    code = f"{'i' if signed else 'u'}{bits // 8}"
    return Meaning(
        (name, code, f"tensor({name})", f"np.{name}"),
        lambda v: isinstance(v, int) and not isinstance(v, bool) and low <= v <= high,
        (low, high, 7, high // 2 + 1, max(low, -1)),
    )


def _floats(name: str, spellings: tuple[str, ...]) -> Meaning:
    type_ = np.dtype(name).type
    limit = np.finfo(type_)

    def takes(v: Any) -> bool:
        if isinstance(v, bool) or not isinstance(v, int | float):
            return False
        if isinstance(v, int) and name == "float64":
            return abs(v) <= 2**64  # rounded, and noted
        with np.errstate(over="ignore"):
            return (isinstance(v, float) and math.isnan(v)) or (float(type_(v)) == v and int_fits(v))

    def int_fits(v: Any) -> bool:
        return not isinstance(v, int) or int(float(type_(v))) == v

    return Meaning(
        (name, *spellings), takes, (0.5, float(limit.max), float(limit.smallest_subnormal), math.nan)
    )


def _is_text(v: Any) -> bool:
    return isinstance(v, str)


AWARE = datetime(2026, 11, 29, 12, tzinfo=UTC)
SCALARS = (
    *(_integers(bits, signed) for bits in (8, 16, 32, 64) for signed in (True, False)),
    _floats("float16", ("half", "f2")),
    _floats("float32", ("float", "tensor(float)")),
    _floats("float64", ("double", "tensor(double)", "f8")),
    Meaning(("bool", "bool_", "boolean", "tensor(bool)"), lambda v: isinstance(v, bool), (True, False)),
    Meaning(("string", "object", "utf8", "<U3"), _is_text, ("", "é", "long " * 9)),
    Meaning(("binary", "bytes"), lambda v: isinstance(v, bytes), (b"", b"\x00")),
    Meaning(("date32[day]", "datetime64[D]"), lambda v: type(v) is date, (date(2026, 11, 29),)),
    Meaning(
        ("datetime64[ns]", "timestamp[us]", "M8[ms]"),
        lambda v: type(v) is date or (isinstance(v, datetime) and v.tzinfo is None),
        (datetime(2026, 11, 29, 12), date(2026, 11, 29)),  # noqa: DTZ001 - a time without a zone is meant
    ),
    Meaning(
        ("datetime64[ns, UTC]", "timestamp[us, tz=UTC]"),
        lambda v: isinstance(v, datetime) and v.tzinfo is not None,
        (AWARE,),
    ),
    Meaning(("any",), lambda _: True, (None, 5, "x", b"y", 2.5, True, AWARE, date(2026, 1, 1))),
)
SIZES = (0, 1, 2, 3, 4)
SHAPES: tuple[tuple[tuple[str, ...], Callable[[tuple[int, ...]], bool]], ...] = (
    (("", "[?]", "[-1]", "[N]"), lambda s: len(s) == 1),
    (("[?,4]", "[-1, 4]", "[N,4]", "[None,4]"), lambda s: len(s) == 2 and s[1] == 4),
    (("[?,3]", "[batch, 3]"), lambda s: len(s) == 2 and s[1] == 3),
    (("[?,?]", "[N,M]", "[-1,-1]"), lambda s: len(s) == 2),
    (("[N,N]", "[a, a]"), lambda s: len(s) == 2 and s[0] == s[1]),
    (("[1,4]",), lambda s: s == (1, 4)),
    (("[4,4]",), lambda s: s == (4, 4)),
    (("[]",), lambda s: s == ()),
    (("[...]",), lambda _: True),
)
ALL_SHAPES = tuple(shape for rank in (0, 1, 2, 3) for shape in itertools.product(SIZES, repeat=rank))

Value = tuple[tuple[int, ...], Any]
"""(shape, element) of an array, all of whose elements are the same."""


@dataclass(frozen=True)
class Type:
    """A type by its meaning: what it takes, and all values of it that are tried."""

    text: str
    element: Meaning
    shape: Callable[[tuple[int, ...]], bool]
    nullable: bool

    def takes(self, value: Value) -> bool:
        shape, element = value
        whole = self.element.spellings == ("any",) and not self.text.endswith("]")
        if not whole and not self.shape(shape):
            return False
        return self.nullable if element is None and not whole else self.element.takes(element)

    def values(self) -> Iterable[Value]:
        elements = (*self.element.values, *((None,) if self.nullable else ()))
        whole = self.element.spellings == ("any",) and not self.text.endswith("]")
        shapes = [shape for shape in ALL_SHAPES if whole or self.shape(shape)]
        return itertools.product(shapes, elements)


@st.composite
def types(draw: st.DrawFn) -> Type:
    element = draw(st.sampled_from(SCALARS))
    spellings, shape = draw(st.sampled_from(SHAPES))
    nullable = draw(st.booleans()) and element.spellings != ("any",)
    bare = draw(st.sampled_from(element.spellings)) + draw(st.sampled_from(spellings))
    return Type(bare + ("?" if nullable else ""), element, shape, nullable or element.spellings == ("any",))


@given(types(), types())
@settings(max_examples=300)
def test_a_type_accepts_another_if_and_only_if_it_takes_all_its_values(old, new):
    assert accepts(parsed(new.text), parsed(old.text)) is all(map(new.takes, old.values()))


@pytest.mark.parametrize(
    ("old", "new"), list(itertools.product(SCALARS, SCALARS)), ids=lambda m: m.spellings[0]
)
def test_an_element_accepts_another_if_and_only_if_it_takes_all_its_values(old, new):
    taken = all(map(new.takes, old.values)) and (old.spellings != ("any",) or new.spellings == ("any",))
    assert accepts(parsed(new.spellings[0]), parsed(old.spellings[0])) is taken


@pytest.mark.parametrize(("old", "new"), list(itertools.product(SHAPES, SHAPES)))
def test_a_shape_accepts_another_if_and_only_if_it_takes_all_its_values(old, new):
    (spellings, shape), (others, takes) = old, new
    taken = all(takes(one) for one in ALL_SHAPES if shape(one))
    for one, other in itertools.product(spellings, others):
        assert accepts(parsed("float32" + other), parsed("float32" + one)) is taken


TEXTS = st.one_of(
    st.sampled_from([text for group in SAME for text in group]),
    st.text(st.sampled_from("<>()[]?,:| floatint64stringN-4="), max_size=30),
)


@given(TEXTS, TEXTS, TEXTS)
@example("float32[N,N]", "float32[4,4]", "float32[?,?]")
def test_to_accept_is_reflexive_and_transitive(a, b, c):
    one, two, three = parsed(a), parsed(b), parsed(c)
    assert accepts(one, one)
    assert accepts(one, three) or not (accepts(one, two) and accepts(two, three))


@given(TEXTS)
def test_the_form_of_a_known_type_is_read_as_the_same_type(text):
    type_ = parsed(text)
    assert accepts(type_, type_)
    if type_.element in {"float32", "float64", "int64", "string", "bool"}:
        assert parsed(str(type_)) == type_


@pytest.mark.parametrize(
    ("new", "old", "wide"),
    [
        ("decimal(12,2)", "decimal(10,2)", True),
        ("decimal(10,4)", "decimal(10,2)", False),
        ("decimal(12,4)", "decimal(10,2)", True),
        ("list<double>", "list<float>", True),
        ("list<float>", "list<double>", False),
        ("list<Int64>", "list<int64>", True),
        ("struct<a: double>", "struct<a: float>", True),
        ("struct<a: float, b: string?>", "struct<a: float>", True),
        ("struct<a: float, b: string>", "struct<a: float>", False),
        ("struct<a: float>", "struct<a: float, b: string>", False),
        ("map<string, double>", "map<string, float>", True),
        ("map<string, float>", "map<string, double>", False),
        ("timestamp[us, tz=Europe/Berlin]", "timestamp[us, tz=UTC]", False),
        ("timestamp[us, tz=UTC]", "timestamp[us]", False),
        ("timestamp[s]", "timestamp[ns]", True),
        ("any", "struct<a: float>", True),
        ("any[?,3]", "float32[?,3]", True),
        ("any[?,3]", "float32[?,4]", False),
        ("float32", "bfloat16", True),
        ("float16", "bfloat16", False),
    ],
)
def test_nested_types_and_times_are_compared_part_by_part(new, old, wide):
    assert accepts(parsed(new), parsed(old)) is wide


def test_only_integers_of_64_bits_are_rounded_and_only_as_floats():
    assert rounds(parsed("float64"), parsed("int64"))
    assert rounds(parsed("list<double>"), parsed("list<long>"))
    assert not rounds(parsed("float64"), parsed("int32"))
    assert not rounds(parsed("float64"), parsed("float32"))
