"""regista.wire.signature: the one rule of what callers of a model notice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from regista.wire.signature import ALIASES, WIDER, accepts, differences, incompatibilities, normal


@dataclass(frozen=True)
class Port:
    name: str
    type: str = "float32"
    required: bool = True
    unit: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Port, ...] = (Port("x"), Port("y", required=False))
    outputs: tuple[Port, ...] = (Port("label", "int64", labels=("a", "b")),)


OLD, TYPES = (
    Signature(),
    st.sampled_from([*WIDER, *ALIASES, "int64", "float64", "string", "boolean", "any", " INT32 "]),
)


def y(**more) -> Port:
    return Port("y", **{"required": False, **more})


def taking(*inputs: Port) -> Signature:
    return Signature(inputs=inputs)


def giving(*outputs: Port) -> Signature:
    return Signature(outputs=outputs)


@pytest.mark.parametrize(
    ("new", "what", "breaking"),
    [
        (taking(Port("x"), y(), Port("z", required=False)), "optional_input_added", False),
        (taking(Port("x"), y(), Port("z")), "required_input_added", True),
        (taking(Port("x")), "input_removed", True),
        (taking(Port("x", "float64"), y()), "input_type_widened", False),
        (taking(Port("x", "double"), y()), "input_type_widened", False),
        (taking(Port("x", "any"), y()), "input_type_widened", False),
        (taking(Port("x", "int8"), y()), "input_type_narrowed", True),
        (taking(Port("x"), y(required=True)), "input_became_required", True),
        (taking(Port("x", required=False), y()), "input_became_optional", False),
        (taking(Port("x", unit="km"), y()), "unit_changed", True),
        (giving(), "output_removed", True),
        (giving(*OLD.outputs, Port("score")), "output_added", True),
        (giving(Port("label", "int32", labels=("a", "b"))), "output_type_changed", True),
        (giving(Port("label", "int64", labels=("a", "b", "c"))), "labels_changed", True),
        (giving(Port("label", "int64", labels=("b", "a"))), "labels_changed", True),
        (giving(Port("label", "int64", labels=("a", "b"), unit="m")), "unit_changed", True),
        (None, "removed", True),
    ],
)
def test_a_change_is_named_and_breaks_who_relied_on_what_it_took(new, what, breaking):
    [found] = differences(OLD, new)
    assert (found.what, found.breaking) == (what, breaking)
    assert bool(incompatibilities(OLD, new)) is breaking


@pytest.mark.parametrize(
    "new",
    [
        OLD,
        taking(y(), Port("x")),
        taking(Port("x", "float"), y(unit="")),
        taking(Port("x", " FLOAT32 "), y()),
        giving(Port("label", "long", labels=("a", "b"))),
    ],
)
def test_the_order_of_fields_and_another_name_of_a_type_change_nothing(new):
    assert differences(OLD, new) == ()


def test_a_first_signature_breaks_no_caller():
    assert [d.breaking for d in differences(None, OLD)] == [False]
    assert differences(None, None) == ()


@pytest.mark.parametrize(
    ("old", "new", "wide"),
    [
        ("uint8", "int16", True),
        ("uint8", "int8", False),
        ("uint32", "int64", True),
        ("uint32", "int32", False),
        ("int32", "float32", False),
        ("int32", "float64", True),
        ("int64", "float64", False),
        ("bool", "int8", False),
        ("boolean", "bool", True),
        ("str", "any", True),
        ("any", "string", False),
        ("float32", "float16", False),
    ],
)
def test_a_wider_type_holds_every_value_exactly(old, new, wide):
    assert accepts(new, old) is wide


@given(TYPES, TYPES, TYPES)
def test_widening_is_a_preorder_on_types(a, b, c):
    assert accepts(a, a)
    assert not (accepts(a, b) and accepts(b, a)) or normal(a) == normal(b)
    assert accepts(a, c) or not (accepts(a, b) and accepts(b, c))


def test_a_difference_reads_as_a_sentence():
    [narrowed] = differences(OLD, taking(Port("x", "int8"), y()))
    assert str(narrowed) == "inputs.x.type: input type narrowed from float32 to int8"
    [gone] = differences(OLD, taking(Port("x")))
    assert str(gone) == "inputs.y: input removed (callers still send it)"
