"""Answers call the schema of a model by its public word."""

from __future__ import annotations

from services.registry import schema_words
from services.registry.domain.versioning.bump import Bump
from services.registry.domain.versioning.change import Change

CHANGES = (
    Change("signature", "inputs.age", "removed", breaking=True),
    Change("code", "training.code", "changed"),
)


def test_a_difference_of_the_schema_is_shown_by_the_public_word() -> None:
    assert [schema_words.change(one)["part"] for one in CHANGES] == ["schema", "code"]


def test_a_bump_names_rule_and_parts_by_the_public_word() -> None:
    shown = schema_words.bump(Bump("major", "signature.removed", 2, "1.1.0", changes=CHANGES))
    assert (shown["rule"], [one["part"] for one in shown["changes"]]) == (
        "schema.removed",
        ["schema", "code"],
    )
    assert (shown["compared_with"], shown["compared_with_semver"]) == (2, "1.1.0")
    assert schema_words.rule("model.retrained") == "model.retrained"
