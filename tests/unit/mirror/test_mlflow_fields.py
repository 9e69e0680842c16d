"""How a version is written in MLflow's words."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from services.mirror.targets import open_target
from services.mirror.targets.base import Approval, Found, Refused, Share, Wanted, differences
from services.mirror.targets.mlflow_fields import LONGEST_VALUE, aliases_of, name_there, stage_there, tags_of

VERSION = Wanted("m1", "fraud.cards", 3, "1.2.0", "Production")
APPROVAL = Approval("r1", ("Bob", "Eve"), "checked", datetime(2026, 11, 30, tzinfo=UTC), "production")


def test_the_champion_of_an_environment_has_its_name_as_an_alias() -> None:
    shares = (Share("production", True, 90, "champion"), Share("lab", False, 10, "challenger"))
    assert aliases_of(replace(VERSION, shares=shares, aliases=("best",))) == {"production", "best"}


@pytest.mark.parametrize(("alias", "there"), [("v3", "regista-v3"), ("latest", "regista-latest"), ("v", "v")])
def test_an_alias_that_mlflow_keeps_for_itself_gets_a_prefix(alias: str, there: str) -> None:
    assert aliases_of(replace(VERSION, aliases=(alias,))) == {there}


@pytest.mark.parametrize("ended", [{"retired": True}, {"withdrawn": True}])
def test_a_version_that_may_not_be_loaded_has_no_alias_and_is_archived(ended: dict[str, bool]) -> None:
    version = replace(VERSION, aliases=("best",), **ended)
    assert (aliases_of(version), stage_there(version)) == (frozenset(), "Archived")


def test_tags_that_would_replace_ours_or_are_illegal_there_are_kept_in_one_tag() -> None:
    tags = {"team": "crm", "regista.stage": "lie", "größe": "ü", "mlflow.user": "x", "a?b": "c", "empty": ""}
    shown = tags_of(replace(VERSION, tags=tags))
    assert (shown["team"], shown["größe"], shown["regista.stage"]) == ("crm", "ü", "Production")
    assert shown["regista.tags"] == '{"a?b":"c","empty":"","mlflow.user":"x","regista.stage":"lie"}'
    assert not {"mlflow.user", "a?b", "empty"} & set(shown)


def test_three_hundred_tags_and_a_long_text_are_shown() -> None:
    tags = {f"t{n}": "x" for n in range(300)} | {"long": "x" * 6_000}
    shown = tags_of(replace(VERSION, tags=tags))
    assert sum(name.startswith("t") for name in shown) == 300
    assert len(shown["regista.tags"]) == LONGEST_VALUE


def test_a_description_of_2000_characters_is_shown_whole() -> None:
    target = open_target("mlflow", {"url": "http://127.0.0.1:9"})
    shown = target.shown(replace(VERSION, description="ü" * 2_000))
    assert shown["description"] == "ü" * 2_000


def test_an_approval_is_shown_with_names_review_and_comment() -> None:
    shown = tags_of(replace(VERSION, approvals=(APPROVAL,)))["regista.approvals"]
    assert shown == "production 2026-11-30T00:00Z review r1 by Bob, Eve: checked"


def test_a_prefix_distinguishes_models_of_two_mirrors() -> None:
    assert name_there("eu.", "fraud.cards") == "eu.fraud.cards"


def test_what_only_the_target_has_is_no_difference() -> None:
    found = Found("a", {"stage": "x", "theirs": "y"})
    assert [d.field for d in differences({"stage": "z", "new": "n"}, found)] == ["new", "stage"]
    assert differences({"stage": "x", "absent": ""}, found) == []


@pytest.mark.parametrize(
    ("kind", "settings", "named"),
    [
        ("mlflow", {}, "url"),
        ("mlflow", {"url": "ftp://x"}, "url"),
        ("mlflow", {"url": "https://user:secret@host"}, "url"),
        ("mlflow", {"url": "https://m", "token_file": "/nowhere/t"}, "/nowhere/t"),
        ("mlflow", {"url": "https://m", "ca_file": "/nowhere/c"}, "/nowhere/c"),
        ("excel", {}, "kind of target"),
    ],
)
def test_wrong_settings_are_named_without_what_they_hold(
    kind: str, settings: dict[str, str], named: str
) -> None:
    with pytest.raises(Refused) as refused:
        open_target(kind, settings)
    assert named in str(refused.value)
    assert "secret" not in str(refused.value)
