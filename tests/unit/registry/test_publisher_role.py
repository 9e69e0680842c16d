"""A publisher without the role learns what it lacks, and which name was probably meant."""

from __future__ import annotations

import pytest

from services.registry.access.domain.commands import CreateIdentity, GrantRole
from services.registry.api.publications import lacks_role
from shared.deciding.access import AccessState
from tests.unit.registry.people import house


def publisher(*namespaces: str) -> AccessState:
    grants = [GrantRole("ci", "publisher", one, "root") for one in namespaces]
    return house(CreateIdentity("ci", "publisher"), *grants)["ci"]


@pytest.mark.parametrize(
    ("namespaces", "meant"),
    [
        (("team", "demo"), ["demo.scoring", "team.scoring"]),
        (("d", "c", "b", "a"), ["a.scoring", "b.scoring", "c.scoring"]),
    ],
)
def test_a_name_without_a_namespace_is_answered_with_those_of_the_publisher(
    namespaces: tuple[str, ...], meant: list[str]
) -> None:
    refusal = lacks_role(publisher(*namespaces), "ci", "", "scoring")
    assert refusal.facts["meant"] == meant
    assert "The name scoring has no namespace." in str(refusal)
    assert f"did you mean {' or '.join(meant)}?" in str(refusal)


def test_a_publisher_of_no_namespace_learns_the_form_of_a_name() -> None:
    refusal = lacks_role(AccessState(), "ci", "", "scoring")
    assert refusal.facts["meant"] == []
    assert "write NAMESPACE.NAME" in str(refusal)


def test_a_role_that_is_missing_in_a_namespace_is_asked_for_there() -> None:
    refusal = lacks_role(publisher("demo"), "ci", "fraud", "fraud.scoring")
    assert "meant" not in refusal.facts
    assert "needs the role 'publisher' in the namespace 'fraud'" in str(refusal)
