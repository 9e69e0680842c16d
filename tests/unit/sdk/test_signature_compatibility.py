"""regista.wire.signature: the one rule of what callers of a model notice."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from regista.wire.signature import differences, incompatibilities


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
    inputs_by: str | None = None
    outputs_by: str | None = None
    columns: dict[str, tuple[str, ...]] | None = None


OLD = Signature()


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
        (giving(Port("label", "float32", labels=("a", "b"))), "output_type_changed", True),
        (giving(Port("label", "int32", labels=("a", "b"))), "output_type_narrowed", False),
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
        taking(Port("x", "float"), y(unit="")),
        taking(Port("x", " FLOAT32 "), y()),
        giving(Port("label", "long", labels=("a", "b"))),
    ],
)
def test_another_spelling_changes_nothing(new):
    assert differences(OLD, new) == ()


def test_a_first_signature_breaks_no_caller():
    assert [d.breaking for d in differences(None, OLD)] == [False]
    assert differences(None, None) == ()


def test_a_difference_reads_as_a_sentence():
    [narrowed] = differences(OLD, taking(Port("x", "int8"), y()))
    assert str(narrowed) == "inputs.x.type: input type narrowed from float32 to int8"
    [gone] = differences(OLD, taking(Port("x")))
    assert str(gone) == "inputs.y: input removed (callers still send it)"


RADIUS, TEXTURE, AREA = Port("radius"), Port("texture"), Port("area", required=False)


def called(*names: Port, by: str | None) -> Signature:
    return Signature(inputs=names, inputs_by=by)


@pytest.mark.parametrize("by", ["position", None])
def test_swapped_inputs_break_callers_who_may_send_them_by_position(by):
    [swapped] = differences(called(RADIUS, TEXTURE, by=by), called(TEXTURE, RADIUS, by=by))
    assert (swapped.path, swapped.what, swapped.breaking) == ("inputs", "inputs_reordered", True)
    assert (swapped.before, swapped.after) == (["radius", "texture"], ["texture", "radius"])


def test_inputs_that_are_sent_by_name_may_move():
    old, new = called(RADIUS, TEXTURE, by="name"), called(TEXTURE, AREA, RADIUS, by="name")
    assert incompatibilities(old, new) == ()
    assert differences(old, called(TEXTURE, RADIUS, by="name")) == ()


@pytest.mark.parametrize("by", ["position", None])
def test_an_optional_input_breaks_no_caller_at_the_end_only(by):
    old = called(RADIUS, TEXTURE, by=by)
    assert incompatibilities(old, called(RADIUS, TEXTURE, AREA, by=by)) == ()
    assert [d.what for d in incompatibilities(old, called(RADIUS, AREA, TEXTURE, by=by))] == [
        "inputs_reordered"
    ]


def test_to_be_called_in_another_way_breaks_callers():
    by_name, by_position = (called(RADIUS, TEXTURE, by=by) for by in ("name", "position"))
    assert [d.what for d in incompatibilities(by_name, by_position)] == ["inputs_by_position"]
    assert [d.what for d in incompatibilities(by_position, by_name)] == ["inputs_by_name"]


@pytest.mark.parametrize("by", ["name", "position"])
def test_to_state_how_inputs_are_given_for_the_first_time_changes_nothing(by):
    either, stated = called(RADIUS, TEXTURE, by=None), called(RADIUS, TEXTURE, by=by)
    assert differences(either, stated) == differences(stated, either) == ()
    assert incompatibilities(either, called(TEXTURE, RADIUS, by=by))


@pytest.mark.parametrize("by", ["position", None])
def test_swapped_outputs_break_callers_who_may_read_them_by_position(by):
    a, b = Port("mean"), Port("variance")
    old, new = (Signature(outputs=outputs, outputs_by=by) for outputs in ((a, b), (b, a)))
    assert [d.what for d in incompatibilities(old, new)] == ["outputs_reordered"]
    old, new = (Signature(outputs=outputs, outputs_by="name") for outputs in ((a, b), (b, a)))
    assert differences(old, new) == ()


def test_the_columns_of_an_array_are_sent_by_position():
    def array(*columns: str) -> Signature:
        return Signature(inputs=(Port("x", "float32[?,2]"),), columns={"x": columns} if columns else None)

    [moved] = differences(array("radius", "texture"), array("texture", "radius"))
    assert (moved.path, moved.what, moved.breaking) == ("inputs.x.columns", "columns_changed", True)
    assert differences(array(), array("radius", "texture")) == ()
    [lost] = differences(array("radius", "texture"), array())
    assert (lost.what, lost.breaking) == ("columns_not_named", False)


def test_an_integer_that_becomes_a_float_is_wider_and_the_rounding_is_noted():
    [wider] = differences(taking(Port("n", "int64")), taking(Port("n", "float64")))
    assert (wider.what, wider.breaking, "2^53" in wider.detail) == ("input_type_widened", False, True)


def test_the_same_instants_in_another_unit_break_no_caller():
    ns, us = (taking(Port("t", f"datetime64[{unit}]")) for unit in ("ns", "us"))
    for old, new in ((ns, us), (us, ns)):
        assert [(d.what, d.breaking) for d in differences(old, new)] == [("input_resolution_changed", False)]
