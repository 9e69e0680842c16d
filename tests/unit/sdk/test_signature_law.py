"""The law: a version can serve another's callers if and only if it takes all their calls, and gives only
answers that they take.

`takes` is a server that is written from the documents, not from the code under test: it checks one call.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hypothesis import example, given, settings
from hypothesis import strategies as st

from regista.wire.signature import incompatibilities

# Each type with the values that it takes, and each value with the types that take it.
TYPES: Mapping[str, frozenset[str]] = {
    "int8": frozenset({"7"}),
    "int32": frozenset({"7", "70000"}),
    "float64": frozenset({"7", "70000", "0.5"}),
    "float64?": frozenset({"7", "70000", "0.5", "nothing"}),
    "string": frozenset({"text"}),
    "any": frozenset({"7", "70000", "0.5", "nothing", "text"}),
}
SPELLINGS = {
    "int8": ("int8", "i1", "tensor(int8)"),
    "int32": ("int32", "<i4", "integer"),
    "float64": ("float64", "double", "torch.float64"),
    "float64?": ("float64?", "Float64", "optional(double)"),
    "string": ("string", "object", "utf8"),
    "any": ("any",),
}
ABSENT = "absent"


@dataclass(frozen=True)
class Port:
    name: str
    kind: str
    type: str
    required: bool = True
    unit: str | None = None
    labels: tuple[str, ...] | None = None


@dataclass(frozen=True)
class Signature:
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    inputs_by: str
    outputs_by: str
    columns: Any = None


@dataclass(frozen=True)
class Data:
    """What is sent: values with the unit in which they were measured, by name or by position.

    A sender by position has a name for what it sends, as a person has who writes the call.
    """

    by: str
    values: tuple[tuple[str, str, str | None], ...]
    """(name, value, unit), in the order of the sender."""


def calls(ports: tuple[Port, ...], by: str) -> Iterator[Data]:
    """Every call of a signature: each input with each of its values, or absent where that is allowed."""
    options = [sorted(TYPES[p.kind]) + ([] if p.required else [ABSENT]) for p in ports]
    for values in itertools.product(*options):
        yield Data(by, tuple((p.name, v, p.unit) for p, v in zip(ports, values, strict=True)))


def takes(ports: tuple[Port, ...], by: str, data: Data, *, closed: bool = False) -> bool:
    """Whether a server takes the data as they are meant; or a reader (`closed`: nothing may be absent)."""
    if by != data.by:
        return False
    sent = {name: (n, value, unit) for n, (name, value, unit) in enumerate(data.values)}
    known = {port.name: n for n, port in enumerate(ports)}
    if not sent.keys() <= known.keys():
        return False
    if by == "position" and any(known[name] != n for name, (n, _, _) in sent.items()):
        return False
    for port in ports:
        _, value, unit = sent.get(port.name, (0, ABSENT, port.unit))
        if value == ABSENT and (port.required or closed):
            return False
        if unit != port.unit or (value != ABSENT and value not in TYPES[port.kind]):
            return False
    return True


def every_port(required: Sequence[bool]) -> list[Port]:
    """Return each port there may be: each type as often as the others, and three of four without a unit."""
    return [
        Port(name, kind, SPELLINGS[kind][n % len(SPELLINGS[kind])], needed, unit)
        for kind in sorted(TYPES)
        for n in range(3)
        for name in ("radius", "texture", "area")
        for needed in required
        for unit in (None, None, None, "mm")
    ]


def ports(optional: bool) -> st.SearchStrategy[tuple[Port, ...]]:
    one = st.sampled_from(every_port([False, True] if optional else [True]))
    return st.lists(one, max_size=3, unique_by=lambda port: port.name).map(tuple)


BY = st.sampled_from(["name", "position"])
SIGNATURES = st.builds(Signature, ports(True), ports(False), BY, BY)


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Signature, Signature]:
    """Two signatures, the second often a small change of the first."""
    old, new = draw(SIGNATURES), draw(SIGNATURES)
    inputs = draw(
        st.one_of(
            st.just(new.inputs),
            st.permutations(old.inputs).map(tuple),
            st.just((*old.inputs, *(p for p in new.inputs if p.name not in {o.name for o in old.inputs}))),
        )
    )
    outputs = draw(
        st.one_of(st.just(old.outputs), st.permutations(old.outputs).map(tuple), st.just(new.outputs))
    )
    return old, Signature(
        inputs, outputs, draw(st.sampled_from([old.inputs_by] * 3 + [new.inputs_by])), old.outputs_by
    )


def port(name: str, kind: str = "float64", *, required: bool = True) -> Port:
    return Port(name, kind, SPELLINGS[kind][0], required)


RADIUS, TEXTURE, AREA = port("radius"), port("texture"), port("area", required=False)


@given(pairs())
@settings(max_examples=400)
@example(
    (
        Signature((RADIUS, TEXTURE), (), "position", "name"),
        Signature((TEXTURE, RADIUS), (), "position", "name"),
    )
)
@example((Signature((RADIUS, TEXTURE), (), "name", "name"), Signature((TEXTURE, RADIUS), (), "name", "name")))
@example(
    (
        Signature((RADIUS, TEXTURE), (), "position", "name"),
        Signature((RADIUS, AREA, TEXTURE), (), "position", "name"),
    )
)
@example((Signature((RADIUS,), (), "position", "name"), Signature((RADIUS, AREA), (), "position", "name")))
@example((Signature((AREA,), (), "name", "name"), Signature((port("area"),), (), "name", "name")))
@example((Signature((port("area"),), (), "name", "name"), Signature((AREA,), (), "name", "name")))
@example((Signature((), (port("a"), port("b")), "name", "position"),) * 2)
@example(
    (
        Signature((), (port("a"), port("b")), "name", "position"),
        Signature((), (port("b"), port("a")), "name", "position"),
    )
)
@example(
    (
        Signature((port("radius", "int32"),), (port("p", "any"),), "name", "name"),
        Signature((port("radius", "float64?"),), (port("p", "string"),), "name", "name"),
    )
)
def test_signatures_are_compatible_if_and_only_if_every_call_and_every_answer_is_taken(pair):
    old, new = pair
    asked = all(takes(new.inputs, new.inputs_by, call) for call in calls(old.inputs, old.inputs_by))
    answered = {p.name for p in old.outputs} == {p.name for p in new.outputs} and all(
        takes(old.outputs, old.outputs_by, answer, closed=True)
        for answer in calls(new.outputs, new.outputs_by)
    )
    assert (incompatibilities(old, new) == ()) is (asked and answered)
