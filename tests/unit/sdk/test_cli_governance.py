"""The command line of approvers and admins: what a review and a policy show before anyone decides."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from tests.unit.sdk.conftest import Answers

REVIEW = {
    "review_id": "r1",
    "revision": 4,
    "state": "open",
    "model": "churn",
    "number": 3,
    "semver": "2.0.0",
    "environment": "production",
    "needs": 2,
    "approvers": ["u-1"],
    "excluded": ["carl"],
    "expires_at": "2026-12-06T12:00:00Z",
    "results": [
        {"gate": "artifact_verified", "passed": True, "detail": "good", "tick": False},
        {"gate": "schema_compatible", "passed": True, "detail": "callers would break: z", "tick": True},
    ],
    "entries": [],
    "evidence": {"kind": "model", "tags": {f"column{n}": "x" for n in range(190)}},
    "summary": {
        "requested": {"by": "rosa", "reason": "better in March", "at": None, "environment": "production"},
        "creator": "carl",
        "run_url": "https://runs.example.com/7",
        "champion": {"number": 2, "semver": "1.0.0"},
        "changes": {
            "config": [{"name": "depth", "champion": 2, "candidate": 3, "note": ""}],
            "metrics": [
                {"name": "auc on march", "champion": None, "candidate": 0.9, "note": "not comparable"}
            ],
        },
        "callers": {
            "bump": "major",
            "breaks": ["input z is missing"],
            "notice": "MAJOR: callers must change",
        },
        "policy": {"name": "default", "revision": 3, "approvers": 2, "roles": ["approver"]},
        "accept": ["schema_compatible"],
        "sealed": {"version": "sha256:" + "a" * 64},
        "deciders": [
            {"subject": "bob", "may_decide": True, "why_not": ""},
            {"subject": "carl", "may_decide": False, "why_not": "made this version"},
        ],
    },
}


def test_the_first_screen_of_a_review_has_what_an_approver_needs(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(REVIEW)
    shown = run("reviews", "show", "r1").output
    for text in (
        "churn@3 (2.0.0) for production: open, 1 of 2 approved",
        "requested by rosa: better in March",
        "made by carl, run https://runs.example.com/7",
        "against the champion 2 (1.0.0)",
        "config: depth",
        "not comparable",
        "MAJOR: callers must change",
        "breaks: input z is missing",
        "to accept by name: schema_compatible",
        "default revision 3: 2 of approver",
        "may decide: bob",
        "may not: carl made this version",
        "sealed: version sha256:aaaaaaaaaaaa…",
        "regista approve r1 --revision 4 --accept schema_compatible",
    ):
        assert text in shown, text
    assert "column100" not in shown


def test_one_option_shows_all_evidence_of_a_review(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(REVIEW)
    assert "column100" in run("reviews", "show", "r1", "--full").output


def test_all_evidence_has_every_difference(run: Any, answers: Answers) -> None:
    inputs = [{"name": f"input {n}", "champion": None, "candidate": "float32", "note": ""} for n in range(20)]
    review = REVIEW | {"summary": REVIEW["summary"] | {"changes": {"schema": inputs}}}
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(review)
    assert "8 further differences: --full" in run("reviews", "show", "r1").output
    shown = run("reviews", "show", "r1", "--full").output
    assert "input 19" in shown
    assert "further differences" not in shown


@pytest.mark.parametrize("state", ["approved", "rejected", "overridden", "closed"])
def test_no_one_may_decide_what_is_decided(run: Any, answers: Answers, state: str) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(REVIEW | {"state": state})
    shown = run("reviews", "show", "r1").output
    assert "may decide" not in shown
    assert "may not" not in shown


def test_an_approval_states_how_many_there_are(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/reviews/r1:approve"] = JSONResponse(REVIEW)
    assert "approved r1: 1 of 2 approvals" in run("approve", "r1", "--revision", "4").output
    answers.fixed["POST", "/v1/reviews/r1:approve"] = JSONResponse(REVIEW | {"state": "approved"})
    assert "it was the last approval" in run("approve", "r1", "--revision", "5").output


def test_an_after_review_without_a_verdict_names_both(run: Any) -> None:
    assert "--justified or --unjustified" in run("reviews", "after-review", "r1").output


@pytest.mark.parametrize(("justified", "found"), [(True, "justified"), (False, "NOT justified")])
def test_a_review_shows_what_its_after_review_found_and_its_comment(
    run: Any, answers: Answers, *, justified: bool, found: str
) -> None:
    entry = {
        "revision": 3,
        "kind": "OverrideReviewed",
        "by": "u-2",
        "name": "",
        "text": "there was no outage",
        "conditions": [],
        "justified": justified,
        "at": "2026-12-01T08:00:00Z",
    }
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(REVIEW | {"state": "closed", "entries": [entry]})
    shown = run("reviews", "show", "r1").output
    assert f"reviewed the override, found it {found}\tthere was no outage" in shown


def test_an_approval_accepts_gates_by_name(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/reviews/r1:approve"] = JSONResponse(REVIEW)
    run("approve", "r1", "--revision", "4", "--accept", "schema_compatible")
    (sent,) = answers.of("POST", "/v1/reviews/r1:approve")
    assert json.loads(sent.body)["accepts"] == ["schema_compatible"]


def test_an_owed_after_review_stands_in_the_list_with_its_time(run: Any, answers: Answers) -> None:
    owed = REVIEW | {
        "state": "overridden",
        "due_at": "2026-12-01T08:00:00Z",
        "overdue_since": "2026-12-01T08:00:00Z",
    }
    answers.fixed["GET", "/v1/reviews"] = JSONResponse({"items": [owed], "next_page_token": ""})
    assert "overdue since 2026-12-01" in run("reviews", "list", "-o", "wide").output


def test_the_list_states_what_the_caller_may_decide_and_why_not_the_rest(run: Any, answers: Answers) -> None:
    items = [
        REVIEW | {"may_decide": True, "why_not": ""},
        REVIEW | {"review_id": "r2", "may_decide": False, "why_not": "made this version"},
    ]
    answers.fixed["GET", "/v1/reviews"] = JSONResponse({"items": items, "next_page_token": ""})
    shown = run("reviews", "-o", "csv").output.splitlines()
    assert [line.rpartition(",")[2] for line in shown] == ["you", "may decide", "made this version"]
    run("reviews", "--mine")
    run("reviews", "list", "--mine")
    assert [sent.query.get("mine") for sent in answers.of("GET", "/v1/reviews")] == [None, "true", "true"]


IDS = ["01980000-0000-7000-8000-00000000000a", "01980000-0000-7000-8000-00000000000b"]


@pytest.mark.parametrize(
    ("words", "path"),
    [
        (("reviews", "show", "0198"), ""),
        (("approve", "0198", "--revision", "4"), ":approve"),
        (("reject", "0198", "--revision", "4", "--reason", "no"), ":reject"),
        (("reviews", "comment", "0198", "hm"), ":comment"),
        (("reviews", "after-review", "0198", "--justified"), ":review-override"),
        (("override", "0198", "--reason", "outage"), ":override"),
    ],
)
def test_the_beginning_of_an_id_is_enough_where_one_review_has_it(
    run: Any, answers: Answers, words: tuple[str, ...], path: str
) -> None:
    listed = {"items": [REVIEW | {"review_id": IDS[0]}], "next_page_token": ""}
    answers.fixed["GET", "/v1/reviews"] = JSONResponse(listed)
    method, of = "POST" if path else "GET", "promotions" if words[0] == "override" else "reviews"
    answers.fixed[method, f"/v1/{of}/{IDS[0]}{path}"] = JSONResponse(REVIEW)
    assert run(*words).exit_code == 0
    assert answers.of("GET", "/v1/reviews")[0].query["id_prefix"] == "0198"


def test_a_beginning_that_several_reviews_have_is_refused_with_their_ids(run: Any, answers: Answers) -> None:
    items = [REVIEW | {"review_id": id_} for id_ in IDS]
    answers.fixed["GET", "/v1/reviews"] = JSONResponse({"items": items, "next_page_token": ""})
    refused = run("approve", "0198", "--revision", "4")
    assert refused.exit_code == 2
    assert all(id_ in refused.stderr for id_ in IDS)
    assert not answers.of("POST", f"/v1/reviews/{IDS[0]}:approve")


def test_a_whole_id_is_not_looked_up(run: Any, answers: Answers) -> None:
    answers.fixed["GET", f"/v1/reviews/{IDS[0]}"] = JSONResponse(REVIEW)
    assert run("reviews", "show", IDS[0]).exit_code == 0
    assert not answers.of("GET", "/v1/reviews")


def test_stored_names_are_explained_below_all_evidence(run: Any, answers: Answers) -> None:
    evidence = {"recalled_ancestors": ["base@1"], "signature": {"inputs": []}, "released": True}
    answers.fixed["GET", "/v1/reviews/r1"] = JSONResponse(REVIEW | {"evidence": evidence})
    shown = run("reviews", "show", "r1", "--full")
    words = "recalled_ancestors: withdrawn ancestors, released: available, signature: schema"
    assert f"stored names and their public words: {words}" in shown.stderr
    assert "stored names" not in run("reviews", "show", "r1", "--full", "--json").stderr


CHANGE = {
    "weaker": ["Production of models of tier low: default (2 approvers) → open (no approver)"],
    "second_admin": True,
    "models": [
        {
            "model": "team.churn",
            "stage": "Production",
            "policy_before": "default",
            "policy_after": "open",
            "approvers_before": 2,
            "approvers_after": 0,
        }
    ],
    "models_changed": 70,
    "reviews": [
        {
            "review_id": "r1",
            "model": "team.churn",
            "number": 3,
            "needs_before": 2,
            "needs_after": None,
            "then": "lapses",
        }
    ],
    "reviews_changed": 1,
}
PUBLISHED = {"name": "open", "revision": 2, "digest": "d", "proposal": None}


@pytest.fixture
def policy_file(tmp_path: Any) -> str:
    file = tmp_path / "open.json"
    file.write_text(json.dumps({"stages": {"Production": []}}))
    return str(file)


def test_publishing_a_policy_shows_what_changes_before_it_is_sent(
    run: Any, answers: Answers, policy_file: str
) -> None:
    answers.fixed["POST", "/v1/policies/open:preview"] = JSONResponse(CHANGE)
    answers.fixed["PUT", "/v1/policies/open"] = JSONResponse(PUBLISHED)
    result = run("policy", "publish", "open", policy_file, "--yes")
    for text in (
        "weaker: Production",
        "a second admin must confirm it",
        "2 → no person",
        "70 models change",
        "lapses",
    ):
        assert text in result.output, text
    assert "published policy open" in result.output


def test_a_weaker_policy_is_not_published_unseen(run: Any, answers: Answers, policy_file: str) -> None:
    answers.fixed["POST", "/v1/policies/open:preview"] = JSONResponse(CHANGE)
    result = run("policy", "publish", "open", policy_file)
    assert (result.exit_code, "--yes" in result.stderr) == (2, True)
    assert not answers.of("PUT", "/v1/policies/open")


def test_what_policy_show_prints_is_published_once_it_is_edited(
    run: Any, answers: Answers, tmp_path: Any
) -> None:
    answers.fixed["POST", "/v1/policies/open:preview"] = JSONResponse(CHANGE | {"weaker": []})
    answers.fixed["PUT", "/v1/policies/open"] = JSONResponse(PUBLISHED)
    file = tmp_path / "shown.json"
    file.write_text(json.dumps({"name": "open", "revision": 2, "policy": {"stages": {"Production": []}}}))
    assert run("policy", "publish", "open", str(file), "--yes").exit_code == 0
    (sent,) = answers.of("PUT", "/v1/policies/open")
    assert json.loads(sent.body) == {"stages": {"Production": []}}


def test_a_dry_run_publishes_nothing(run: Any, answers: Answers, policy_file: str) -> None:
    answers.fixed["POST", "/v1/policies/open:preview"] = JSONResponse(CHANGE)
    assert run("policy", "publish", "open", policy_file, "--dry-run", "--json").exit_code == 0
    assert not answers.of("PUT", "/v1/policies/open")


def test_as_strict_a_policy_is_published_by_a_script_without_a_question(
    run: Any, answers: Answers, policy_file: str
) -> None:
    answers.fixed["POST", "/v1/policies/open:preview"] = JSONResponse(
        CHANGE | {"weaker": [], "second_admin": False}
    )
    answers.fixed["PUT", "/v1/policies/open"] = JSONResponse(PUBLISHED)
    assert run("policy", "publish", "open", policy_file).exit_code == 0


def test_a_proposal_names_the_command_that_confirms_it(run: Any, answers: Answers, policy_file: str) -> None:
    proposal = {"revision": 5, "policy": {}, "proposed_by": "root", "weaker": CHANGE["weaker"]}
    answers.fixed["POST", "/v1/policies/open:preview"] = JSONResponse(CHANGE)
    answers.fixed["PUT", "/v1/policies/open"] = JSONResponse(PUBLISHED | {"proposal": proposal}, 202)
    answers.fixed["GET", "/v1/policies/open"] = JSONResponse(PUBLISHED | {"proposal": proposal})
    answers.fixed["POST", "/v1/policies/open:confirm"] = JSONResponse(PUBLISHED)
    assert (
        "regista policy confirm open --revision 5"
        in run("policy", "publish", "open", policy_file, "-y").output
    )
    assert run("policy", "confirm", "open", "--revision", "5").exit_code == 0
    (sent,) = answers.of("POST", "/v1/policies/open:confirm")
    assert json.loads(sent.body) == {"revision": 5}


def test_a_rollout_shows_the_conditions_under_which_its_versions_were_approved(
    run: Any, answers: Answers
) -> None:
    entry = {"number": 3, "semver": "2.0.0", "percent": 100, "role": "champion", "withdrawn": None}
    more = {"conditions": ["shadow for a week"], "grant_withdrawn": True}
    answers.fixed["GET", "/v1/models/churn/rollouts/production"] = JSONResponse(
        {"entries": [entry | more], "revision": 2}
    )
    shown = run("rollout", "show", "churn").output
    assert "3 was approved on condition: shadow for a week" in shown
    assert "its override was not justified" in shown
