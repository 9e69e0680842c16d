"""Lineage at the client: the warning of a load, the requests, and what the command line shows."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import WithdrawnAncestor

from .conftest import QUICK, Answers

WHY = "was made from team.base 1, which is withdrawn"
URL = "hf://google/bert-base@5c3fe2"


def node(model: str, generation: int, **more: Any) -> dict[str, Any]:
    serves = [{"environment": "production", "role": "champion", "percent": 100}]
    served = [{"environment": "staging", "since": "2026-01-01T00:00:00Z", "until": "2026-02-01T00:00:00Z"}]
    return {
        "model_id": model,
        "model": model,
        "number": 1,
        "semver": "1.0.0",
        "stage": "Production",
        "relation": "base_model",
        "generation": generation,
        "withdrawn": None,
        "rollouts": serves,
        "served": served,
        **more,
    }


def lineage(**more: Any) -> JSONResponse:
    found = {"ancestors": [], "descendants": [], "hidden": 0, "truncated": False}
    return JSONResponse({"model_id": "m", "model": "team.mid", "number": 1} | found | more)


def test_a_version_made_from_a_withdrawn_one_is_loaded_with_a_warning(
    profile: Profile, answers: Answers
) -> None:
    version = answers.has("team.leaf", "3", {"model.onnx": b"weights"})
    version["withdrawn_ancestors"] = [WHY]
    warned = pytest.warns(WithdrawnAncestor, match=f"team.leaf@3 {WHY}")
    with Client(profile, patience=QUICK) as client, warned:
        assert client.load("team.leaf@3").number == 3


def test_a_download_prints_the_warning_on_standard_error(run: Any, answers: Answers) -> None:
    answers.has("team.leaf", "3", {"model.onnx": b"weights"})["withdrawn_ancestors"] = [WHY]
    result = run("versions", "download", "team.leaf@3")
    assert (result.exit_code, f"warning: team.leaf@3 {WHY}" in result.stderr) == (0, True)


def test_a_lineage_shows_the_farthest_ancestor_first_and_where_each_serves(
    run: Any, answers: Answers
) -> None:
    outside = node(URL, 2, number=0, semver=None, stage=None, rollouts=[], served=[])
    answers.fixed["GET", "/v1/models/team.mid/versions/1/lineage"] = lineage(
        ancestors=[node("team.base", 1, withdrawn="poisoned"), outside],
        descendants=[node("team.leaf", 1)],
        hidden=2,
    )
    shown = run("versions", "lineage", "team.mid@1", "-o", "csv").output.splitlines()
    assert [line.split(",")[:2] for line in shown[1:]] == [
        ["-2", URL],
        ["-1", "team.base"],
        ["+1", "team.leaf"],
    ]
    assert "production (champion, 100 %)" in shown[3]
    assert "staging until 2026-02-01" in shown[3]
    assert "withdrawn: poisoned" in shown[2]
    parsed = json.loads(run("versions", "lineage", "team.mid@1", "--json").output)
    assert (parsed["hidden"], len(parsed["descendants"])) == (2, 1)


def test_a_lineage_of_a_name_states_which_version_it_names(run: Any, answers: Answers) -> None:
    found = lineage(number=4, descendants=[node("team.leaf", 1)])
    answers.fixed["GET", "/v1/models/team.mid/versions/@production/lineage"] = found
    assert "team.mid@production is team.mid@4" in run("versions", "lineage", "team.mid@production").stdout
    assert "team.mid@4" not in run("versions", "lineage", "team.mid@production", "-o", "csv").stdout
    answers.fixed["GET", "/v1/models/team.mid/versions/4/lineage"] = found
    assert " is team.mid@4" not in run("versions", "lineage", "team.mid@4").stdout


def test_the_lineage_of_a_url_is_that_of_a_parent_elsewhere(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/lineage"] = lineage(descendants=[node("team.base", 1)])
    assert "team.base" in run("versions", "lineage", URL, "-o", "csv").output
    assert answers.of("GET", "/v1/lineage")[0].query == {"parent": URL}


def test_a_version_on_several_pages_is_listed_once_with_its_nearest_use(
    profile: Profile, answers: Answers
) -> None:
    pages = [
        [node("team.base", 0, use="training"), node("team.leaf", 2, use="parent")],
        [node("team.leaf", 0, use="training"), node("team.young", 1, use="parent")],
    ]
    answers.given["GET", "/v1/versions"] = [
        JSONResponse({"items": items, "truncated": False, "next_page_token": token})
        for items, token in zip(pages, ("more", ""), strict=True)
    ]
    with Client(profile, patience=QUICK) as client:
        found = client.trained_on("reviews")
    assert [(v["model"], v["use"]) for v in found] == [
        ("team.base", "training"),
        ("team.leaf", "training"),
        ("team.young", "parent"),
    ]
