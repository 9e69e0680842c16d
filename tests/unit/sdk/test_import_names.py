"""The names that models of another registry get."""

from __future__ import annotations

import pytest

from regista.errors import Invalid
from regista.importing.names import colliding, name_here, names_here


@pytest.mark.parametrize(
    ("there", "namespace", "here"),
    [
        ("churn", "", "churn"),
        ("churn", "crm", "crm.churn"),
        ("main.risk.churn", "", "main.risk.churn"),
        ("Churn model (new)", "crm", "crm.Churn-model-new"),
        ("_private", "", "private"),
        ("..a..b..", "", "a.b"),
        ("größe", "", "gr-e"),
        ("模型", "crm", ""),
        ("x" * 300, "", ""),
    ],
)
def test_a_name_keeps_what_it_may_keep(there: str, namespace: str, here: str) -> None:
    assert name_here(there, namespace) == here


def test_a_chosen_name_counts_more_than_the_rule() -> None:
    assert names_here(["a b", "c"], "crm", {"a b": "risk.ab"}) == {"a b": "risk.ab", "c": "crm.c"}


@pytest.mark.parametrize(("namespace", "renamed"), [("a b", {}), ("", {"a": "no name"})])
def test_an_impossible_choice_is_refused(namespace: str, renamed: dict[str, str]) -> None:
    with pytest.raises(Invalid, match="invalid_name"):
        names_here(["a"], namespace, renamed)


def test_models_that_would_share_a_name_are_found() -> None:
    assert colliding({"a b": "a-b", "a-b": "a-b", "c": "c", "模": "", "型": ""}) == {"a-b": ["a b", "a-b"]}
