"""The next steps that the command line names besides its result."""

from __future__ import annotations

import io
import json
import sys
import threading
from pathlib import Path
from typing import Any

import pytest
from starlette.responses import JSONResponse, Response

from regista.cli.terminal.session import Session

from .conftest import Answers, problem


def test_a_withdrawal_names_where_the_version_still_serves_and_how_to_end_it(
    run: Any, answers: Answers
) -> None:
    rollouts = [{"environment": "production", "percent": 90.0, "role": "champion"}]
    answers.fixed["POST", "/v1/models/churn/versions/3:withdraw"] = JSONResponse(
        {"model": "churn", "rollouts": rollouts}
    )
    result = run("withdraw", "churn@3", "--reason", "poisoned").stdout.splitlines()
    assert result == [
        "withdrawn churn@3",
        (
            "it still serves in production (champion, 90 %): "
            "regista rollback churn --environment production --reason poisoned"
        ),
    ]


@pytest.mark.parametrize(
    ("targets", "way"),
    [
        ([2, 1], "regista rollback churn --environment production --to 2 --reason poisoned"),
        ([], "regista rollout stop churn -e production --reason poisoned"),
    ],
)
def test_a_withdrawal_names_the_way_that_works_when_a_rollback_alone_is_refused(
    run: Any, answers: Answers, targets: list[int], way: str
) -> None:
    rollouts = [{"environment": "production", "percent": 100.0, "role": "champion"}]
    answers.fixed["POST", "/v1/models/churn/versions/3:withdraw"] = JSONResponse(
        {"model": "churn", "rollouts": rollouts}
    )
    rollback = "/v1/models/churn/rollouts/production:rollback"
    answers.fixed["POST", rollback] = problem(409, "no_rollback_target", targets=targets)
    assert run("withdraw", "churn@3", "--reason", "poisoned").stdout.endswith(f": {way}\n")
    assert json.loads(answers.of("POST", rollback)[0].body)["dry_run"] is True


PLAN = {
    "revision": 7,
    "champion": 2,
    "previous": [{"number": 3, "role": "champion", "percent": 100}],
    "entries": [{"number": 2, "role": "champion", "percent": 100, "semver": "1.1.0"}],
    "skipped": [{"number": 4, "why": "withdrawn"}],
    "warning": "was trained on the same data as churn 4, which is withdrawn",
    "dry_run": True,
}


def test_a_rollback_shows_what_it_does_and_sends_what_it_showed(run: Any, answers: Answers) -> None:
    path = "/v1/models/churn/rollouts/production:rollback"
    answers.fixed["POST", path] = JSONResponse(PLAN)
    result = run("rollback", "churn", "--reason", "slow", "--dry-run")
    assert "now: 3 (champion, 100 %)" in result.stderr
    assert "2 would get all requests" in result.stderr
    assert "  3 leaves: promote it again before a switch to it\n" in result.stderr
    assert "not 4: withdrawn" in result.stderr
    assert "warning: 2 was trained on the same data" in result.stderr
    assert len(answers.of("POST", path)) == 1
    answers.fixed["GET", "/v1/models/churn/rollouts/production"] = JSONResponse(PLAN)
    assert run("rollback", "churn", "--from", "3", "--reason", "slow").exit_code == 0
    *_, planned, sent = answers.of("POST", path)
    assert (json.loads(planned.body)["dry_run"], planned.headers["if-match"]) == (True, "*")
    assert (json.loads(sent.body)["dry_run"], sent.headers["if-match"]) == (False, '"7"')
    assert json.loads(sent.body)["from_number"] == 3


def test_a_list_that_ends_at_its_limit_has_a_note_for_people_only(run: Any, answers: Answers) -> None:
    events = [{"type": "ModelRegistered", "recorded_at": "2026-01-01T00:00:00Z"}] * 3
    answers.fixed["GET", "/v1/timeline/churn"] = JSONResponse({"items": events, "next_page_token": ""})
    assert "first 3; there may be more: --limit 30" in run("timeline", "churn", "--limit", "3").stderr
    assert run("timeline", "churn", "--limit", "4").stderr == ""
    assert run("timeline", "churn", "--limit", "3", "--json").stderr == ""


def test_a_review_that_does_not_exist_is_answered_with_the_command_that_lists_them(
    run: Any, answers: Answers
) -> None:
    unknown = problem(404, "unknown_review", listed_at="/v1/reviews?state=open")
    answers.fixed["GET", "/v1/reviews/r1"] = unknown
    assert "→ `regista reviews list` lists" in run("reviews", "show", "r1").stderr


def test_what_became_of_a_version_stands_in_its_remarks(run: Any, answers: Answers) -> None:
    gone = {"number": 3, "stage": "Archived", "legal_hold": "a lawsuit", "retired": {"rule": "unused"}}
    answers.fixed["GET", "/v1/models/churn/versions"] = JSONResponse({"items": [gone], "next_page_token": ""})
    assert "legal hold: a lawsuit; retired" in run("versions", "list", "churn").stdout


def test_what_was_trained_on_a_data_set_is_listed_with_where_it_serves(run: Any, answers: Answers) -> None:
    rollouts = [{"environment": "production", "percent": 90, "role": "champion"}]
    found = {
        "model": "churn",
        "number": 3,
        "semver": "1.2.0",
        "stage": "Production",
        "dataset_name": "bank-0312",
        "rollouts": rollouts,
        "withdrawn": "poisoned",
        "model_id": "m-1",
        "use": "training",
        "generation": 0,
        "served": [],
    }
    answers.fixed["GET", "/v1/versions"] = JSONResponse({"items": [found], "next_page_token": ""})
    result = run("versions", "trained-on", "bank-0312").stdout
    assert answers.of("GET", "/v1/versions")[0].query["trained_on"] == "bank-0312"
    assert all(
        text in result
        for text in ("churn", "1.2.0", "production (champion, 90 %)", "bank-0312", "withdrawn: poisoned")
    )


def test_a_time_that_is_shown_is_accepted_by_as_of(run: Any, answers: Answers) -> None:
    event = {"type": "ModelRegistered", "recorded_at": "2026-03-01T12:00:00.123456Z"}
    answers.fixed["GET", "/v1/timeline/churn"] = JSONResponse({"items": [event], "next_page_token": ""})
    answers.fixed["GET", "/v1/as-of"] = JSONResponse({"entries": []})
    (shown,) = [word for word in run("timeline", "churn").stdout.split() if word.startswith("2026")]
    run("as-of", "churn", "--at", shown)
    assert answers.of("GET", "/v1/as-of")[0].query["at"] == "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("facts", "advice"),
    [
        (
            {"subject": "u-1", "role": "engineer", "namespace": "*"},
            "regista access grant u-1 engineer --everywhere",
        ),
        (
            {"subject": "u-1", "role": "approver", "namespace": "fraud"},
            "regista access grant u-1 approver --namespace fraud",
        ),
        (
            {"subject": "u-1", "role": "any", "namespace": "*"},
            "regista access grant u-1 ROLE --everywhere",
        ),
    ],
)
def test_a_missing_role_is_answered_with_the_command_that_grants_it(
    run: Any, answers: Answers, facts: dict[str, str], advice: str
) -> None:
    answers.fixed["GET", "/v1/models"] = problem(403, "role_missing", **facts)
    result = run("models", "list")
    assert (result.exit_code, f"`{advice}`" in result.stderr) == (5, True)


@pytest.mark.parametrize("code", ["own_withdrawal", "own_work", "identity_disabled", "no_live_key"])
def test_what_no_role_changes_is_not_answered_with_a_grant(run: Any, answers: Answers, code: str) -> None:
    answers.fixed["GET", "/v1/models"] = problem(403, code)
    result = run("models", "list")
    assert (result.exit_code, "access grant" in result.stderr) == (5, False)


def test_a_dead_letter_is_listed_with_its_code_and_what_it_is_about(run: Any, answers: Answers) -> None:
    one = {"id": "a", "subject": "fraud.scoring", "code": "not_authentic", "reason": "the signature is wrong"}
    answers.fixed["GET", "/v1/dlq"] = JSONResponse({"items": [one]})
    columns, found = (line.split("\t") for line in run("dlq", "list").stdout.splitlines())
    row = dict(zip(columns, found, strict=True))
    assert (row["about"], row["code"]) == ("fraud.scoring", "not_authentic")
    assert "identity" not in row


@pytest.mark.parametrize(
    "words",
    [
        ("timeline", "churn@3"),
        ("as-of", "churn@3"),
        ("rollback", "churn@3", "--reason", "slow"),
        ("rollout", "stop", "churn@3", "--reason", "slow"),
        ("serving", "--model", "churn@3"),
        ("cleanup", "plan", "churn@3"),
        ("events", "tail", "--model", "churn@3"),
        ("audit", "promotions", "--model", "churn@3"),
    ],
)
def test_a_version_where_a_model_is_expected_is_answered_with_the_model(
    run: Any, words: tuple[str, ...]
) -> None:
    """Else the service would answer that there is no model `churn@3`, while the on-call sees it serve."""
    result = run(*words)
    assert (result.exit_code, "Name the model: churn." in result.stderr) == (2, True)


@pytest.mark.parametrize("status", [303, 403, 404])
def test_a_refusal_that_no_service_wrote_names_the_address_and_is_not_taken_for_a_missing_model(
    run: Any, answers: Answers, status: int
) -> None:
    answers.fixed["GET", "/v1/models/churn"] = Response("<html>sign in</html>", status)
    result = run("models", "show", "churn")
    assert (result.exit_code, f"answered {status}, and not as Regista does" in result.stderr) == (2, True)
    assert "REGISTA_URL" in result.stderr


def test_the_address_for_mlflows_clients_is_not_taken_for_the_registry(run: Any, answers: Answers) -> None:
    refusal = {"error_code": "ENDPOINT_NOT_FOUND", "message": "GET /v1/models/churn is not served here."}
    answers.fixed["GET", "/v1/models/churn"] = JSONResponse(refusal, 404)
    result = run("models", "show", "churn")
    assert (result.exit_code, "it is the address for MLflow's clients" in result.stderr) == (2, True)


@pytest.mark.parametrize(("mistyped", "near"), [("version", "versions"), ("rolback", "rollback")])
def test_a_mistyped_command_is_answered_with_the_near_one(run: Any, mistyped: str, near: str) -> None:
    result = run(mistyped, "list", "--json")
    assert (result.exit_code, near in json.loads(result.stderr)["detail"]) == (2, True)


def test_the_beginning_of_an_option_is_answered_with_the_option(run: Any) -> None:
    result = run("promote", "churn@3", "--env", "staging", "--json")
    assert (result.exit_code, "Did you mean --environment?" in json.loads(result.stderr)["detail"]) == (
        2,
        True,
    )
    like = run("promote", "churn@3", "--enviroment", "staging", "--json")
    assert "--environment" in json.loads(like.stderr)["detail"]


def test_no_events_of_a_period_are_not_taken_for_no_events_at_all(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/timeline/churn"] = JSONResponse({"items": [], "next_page_token": ""})
    assert run("timeline", "churn", "--since", "2027-01-01").stderr == "churn has no such events\n"


def test_a_published_draft_is_answered_with_what_it_lacks(run: Any, answers: Answers) -> None:
    draft = {"model": "churn", "number": 3, "stage": "Draft", "missing": ["training.code", "signature"]}
    answers.fixed["POST", "/v1/models/churn/versions"] = JSONResponse(draft, 201)
    assert "missing: training.code, signature" in run("publish", "churn", "--draft").stderr


FIELDS = [
    {"field": "data.digest", "problem": "is missing", "kind": "missing"},
    {"field": "metrics.f1", "problem": "is no number", "kind": "float_type"},
]


@pytest.mark.parametrize(
    ("detail", "fields", "shown"),
    [
        (
            "Correct the body and repeat: data.digest: is missing; metrics.f1: is no number",
            FIELDS,
            "Correct the body and repeat:\n  - data.digest: is missing\n  - metrics.f1: is no number\n",
        ),
        (
            "Correct the body and repeat: data.digest: is missing; …",
            FIELDS,
            "Correct the body and repeat:\n  - data.digest: is missing\n  - metrics.f1: is no number\n",
        ),
        (
            "Correct the body and repeat: data.digest: is missing",
            FIELDS[:1],
            "Correct the body and repeat: data.digest: is missing\n",
        ),
        (
            "Correct the entries: no version; too many. Then repeat.",
            ["no version", "too many"],
            "Correct the entries:\n  - no version\n  - too many\nThen repeat.\n",
        ),
        ("Something else is wrong.", [{"message": "x"}, ""], "Something else is wrong.\n"),
        ("Something else is wrong.", ["no version"], "Something else is wrong.\n  - no version\n"),
    ],
)
def test_a_refusal_names_each_of_its_problems_once(
    run: Any, answers: Answers, detail: str, fields: list[Any], shown: str
) -> None:
    answers.fixed["GET", "/v1/reviews/r1"] = problem(422, "invalid_body", detail=detail, errors=fields)
    assert run("reviews", "show", "r1").stderr == f"invalid_body: {shown}"


def test_a_wait_without_a_terminal_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    class Shown(io.StringIO):
        def write(self, text: str) -> int:
            written = super().write(text)
            if "\n" in text:
                shown.set()
            return written

    shown, stderr = threading.Event(), Shown()
    monkeypatch.setattr("regista.cli.terminal.session.SILENT", 0.0)
    monkeypatch.setattr(sys, "stderr", stderr)
    with Session("").waiting("waiting for churn@3 to be validated", 60):
        assert shown.wait(60)
    assert stderr.getvalue() == "waiting for churn@3 to be validated, for up to 60 s\n"


def test_a_rollout_that_changed_is_answered_with_the_champion_to_decide_on(
    run: Any, answers: Answers
) -> None:
    stale = problem(412, "stale_rollout", revision=7, champion=2)
    answers.fixed["POST", "/v1/models/churn/rollouts/production:rollback"] = stale
    result = run("rollback", "churn", "--from", "3", "--reason", "slow")
    assert (result.exit_code, "repeat with --from 2." in result.stderr) == (3, True)


def test_an_option_that_is_missing_is_explained(run: Any, tmp_path: Path) -> None:
    result = run("history", "verify", str(tmp_path))
    assert result.exit_code == 2
    assert "Missing option '--key'. The key that `regista audit log-checkpoints` shows" in result.stderr


def test_a_refusal_names_the_people_whose_ids_it_has(run: Any, answers: Answers) -> None:
    ada = "u-e12gtbzcwc07zjap"
    stated = f"{ada} made this version; ask another approver, not u-0pqyywg4hfux0bxy"
    answers.fixed["POST", "/v1/models/churn/versions/3:promote"] = problem(409, "own_work", detail=stated)
    answers.fixed["GET", "/v1/access/names"] = JSONResponse({"names": {ada: "Ada Lovelace"}})
    shown = run("promote", "churn@3").stderr
    assert shown == f"own_work: {stated.replace(ada, f'Ada Lovelace ({ada})')}\n"
    assert json.loads(run("promote", "churn@3", "--json").stderr)["detail"] == stated


def test_reviews_of_a_mistyped_model_are_no_empty_list(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/reviews"] = JSONResponse({"items": [], "next_page_token": ""})
    answers.fixed["GET", "/v1/models/chrun"] = problem(404, "unknown_model")
    assert run("reviews", "list", "--model", "chrun").exit_code == 4
