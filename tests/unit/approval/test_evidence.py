"""The digests of evidence: RFC 8785, whichever way they are computed."""

from __future__ import annotations

from dataclasses import is_dataclass
from types import NoneType, UnionType
from typing import Any, get_args, get_origin, get_type_hints

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from regista.wire.digests import NoDigest, digest
from services.approval.domain.evidence import Evidence, digest_of
from services.approval.domain.noted import Evaluation

SPECIAL = [
    0,
    0.0,
    -0.0,
    1.0,
    -0.5,
    1e-4,
    9e-5,
    1e-5,
    1e-6,
    1e-7,
    1e15,
    1.5e15,
    1e16,
    1e21,
    2.5e300,
    2**53 - 1,
    0.1 + 0.2,
]
TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(SPECIAL),
)
PLAIN = {str: TEXT, int: st.integers(0, 2**53 - 1), float: NUMBERS, bool: st.booleans(), NoneType: st.none()}


def values_of(hint: Any) -> st.SearchStrategy[Any]:
    """Values of an annotation; for a dataclass with every field, so that a new field is tried, too."""
    if is_dataclass(hint):
        return st.builds(hint, **{name: values_of(of) for name, of in get_type_hints(hint).items()})
    match get_origin(hint), get_args(hint):
        case _ if hint in PLAIN:
            return PLAIN[hint]
        case origin, options if origin is UnionType:
            return st.one_of(*map(values_of, options))
        case origin, (item, *_) if origin is tuple:
            return st.lists(values_of(item), max_size=2).map(tuple)
        case origin, (key, value) if origin is dict:
            return st.dictionaries(values_of(key), values_of(value), max_size=2)
        case other:
            raise TypeError(other)


@settings(max_examples=100, deadline=None)
@given(values_of(Evidence))
def test_the_digest_of_evidence_is_that_of_its_canonical_form(evidence):
    assert digest_of(evidence) == digest(msgspec.to_builtins(evidence))


@settings(max_examples=100, deadline=None)
@given(st.recursive(st.one_of(st.none(), st.booleans(), TEXT, NUMBERS), st.lists, max_leaves=8))
def test_the_digest_of_plain_values_is_that_of_their_canonical_form(value):
    assert digest_of(value) == digest(value)


@pytest.mark.parametrize("value", SPECIAL)
def test_a_number_has_the_digest_of_its_canonical_form(value):
    assert digest_of([value]) == digest([value])


def test_keys_beyond_ascii_are_sorted_as_the_canonical_form_sorts_them():
    """RFC 8785 sorts by UTF-16 units: U+1F600 before U+FF5E."""
    tags = {"\uff5e": "", "\U0001f600": ""}
    evidence = Evidence("m", "team.churn", "model", "low", 1, "1.0.0", "v", "a", "released", tags=tags)
    assert digest_of(evidence) == digest(msgspec.to_builtins(evidence))


@pytest.mark.parametrize("value", [float("nan"), float("inf"), 2**53])
def test_a_value_without_a_canonical_form_has_no_digest(value):
    with pytest.raises(NoDigest):
        digest_of([Evaluation("accuracy", value)])
