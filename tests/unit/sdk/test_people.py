"""Who subjects are: shown to people by name, result to programs by id."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.responses import JSONResponse

from .conftest import Answers

NAMES = "/v1/access/names"
EVENT = {
    "recorded_at": "2026-03-01T12:00:00Z",
    "type": "VersionPromoted",
    "number": 3,
    "reason": "",
    "actor": {"subject": "u-1", "on_behalf_of": "u-2"},
}


@pytest.fixture
def directory(answers: Answers) -> Answers:
    answers.fixed["GET", NAMES] = JSONResponse({"names": {"u-1": "Ada Lovelace", "u-2": None}})
    answers.fixed["GET", "/v1/timeline/churn"] = JSONResponse({"items": [EVENT], "next_page_token": ""})
    return answers


def test_a_timeline_shows_names_beside_ids_and_marks_erased_ones(run: Any, directory: Answers) -> None:
    assert "Ada Lovelace (u-1) for u-2 (erased)" in run("timeline", "churn").output
    assert directory.of("GET", NAMES)[0].query["subjects"] == "u-1,u-2"


def test_programs_get_ids_and_no_names_are_looked_up(run: Any, directory: Answers) -> None:
    (event,) = json.loads(run("timeline", "churn", "--json").stdout)
    assert event["actor"]["subject"] == "u-1"
    assert not directory.of("GET", NAMES)


def test_without_the_directory_ids_are_shown(run: Any, directory: Answers) -> None:
    del directory.fixed["GET", NAMES]
    shown = run("timeline", "churn")
    assert (shown.exit_code, "u-1 for u-2" in shown.output) == (0, True)


def test_services_are_called_what_they_are(run: Any, directory: Answers) -> None:
    directory.fixed["GET", "/v1/events"] = JSONResponse(
        {"items": [EVENT | {"actor": {"subject": "service:approval"}}], "next_page_token": ""}
    )
    assert "service:approval" in run("audit", "events", "gate-1").output
    assert not directory.of("GET", NAMES)


def test_as_of_names_who_requested_who_approved_and_who_changed_it(run: Any, directory: Answers) -> None:
    promotion = {
        "requested": {"by": {"subject": "u-2"}},
        "approvers": [{"subject": "u-1"}],
        "promoted_at": "2026",
    }
    found = {
        "since": "2026-03-01T12:00:00Z",
        "changed_by": {"actor": {"subject": "u-1"}, "reason": "better"},
        "entries": [{"number": 1, "promotion": promotion}],
    }
    directory.fixed["GET", "/v1/as-of"] = JSONResponse(found)
    shown = run("as-of", "churn").output
    assert shown.count("Ada Lovelace (u-1)") == 2
    assert "u-2 (erased)" in shown


@pytest.mark.parametrize(
    ("promotion", "reason"),
    [
        (
            {"override": {"reason": "the champion is down"}, "requested": {"reason": "x"}},
            "the champion is down",
        ),
        ({"override": None, "requested": {"reason": "better in March"}}, "better in March"),
        ({"override": {"reason": "of an earlier change"}, "promoted_at": "2026-02-01"}, "no reason given"),
    ],
)
def test_as_of_has_the_reason_of_the_promotion_that_a_service_carried_out(
    run: Any, directory: Answers, promotion: dict[str, Any], reason: str
) -> None:
    since = "2026-03-01T12:00:00Z"
    found = {
        "since": since,
        "changed_by": {"actor": {"subject": "service:approval"}, "reason": ""},
        "entries": [{"number": 1, "promotion": {"promoted_at": since} | promotion}],
    }
    directory.fixed["GET", "/v1/as-of"] = JSONResponse(found)
    assert f"changed by service:approval: {reason}" in run("as-of", "churn").output


def test_a_denial_names_the_people_in_its_reasons(run: Any, answers: Answers) -> None:
    maker = "u-0123456789abcdef"
    answers.fixed["GET", NAMES] = JSONResponse({"names": {maker: "Grace Hopper"}})
    denial = {
        "at": "2026-03-01T12:00:00Z",
        "model": "churn",
        "number": 3,
        "by": {"subject": "service:approval"},
        "reasons": [f"{maker} made this version", "not good enough"],
        "event": {},
    }
    answers.fixed["GET", "/v1/reports/denials"] = JSONResponse({"items": [denial], "next_page_token": ""})
    shown = run("audit", "denials", "-o", "csv").stdout
    assert f"Grace Hopper ({maker}) made this version" in shown
    assert "not good enough" in shown


def test_a_review_shows_the_printed_names_of_signers_and_looks_up_the_others(
    run: Any, directory: Answers
) -> None:
    entries = [
        {"by": "u-2", "name": "As Signed", "kind": "ReviewApproved", "text": "", "at": ""},
        {"by": "u-1", "name": "", "kind": "ReviewCommented", "text": "?", "at": ""},
    ]
    review = {
        "review_id": "r",
        "revision": 2,
        "state": "open",
        "results": [],
        "entries": entries,
        "excluded": ["u-1"],
        "approvers": ["u-2"],
        "summary": {"deciders": [{"subject": "u-1", "may_decide": False, "why_not": "trained it"}]},
    }
    directory.fixed["GET", "/v1/reviews/r"] = JSONResponse(review)
    shown = run("reviews", "show", "r").output
    assert "As Signed" in shown
    assert shown.count("Ada Lovelace (u-1)") == 2
    directory.fixed["GET", "/v1/reviews"] = JSONResponse({"items": [review], "next_page_token": ""})
    assert "u-2 (erased)" in run("reviews").output


def test_many_subjects_are_looked_up_in_pages(directory: Answers, profile: Any) -> None:
    from regista.client.sync_client import Client  # noqa: PLC0415

    with Client(profile) as client:
        client.names(f"u-{n}" for n in range(250))
    asked = [seen.query["subjects"].split(",") for seen in directory.of("GET", NAMES)]
    assert [len(page) for page in asked] == [100, 100, 50]
    assert len({subject for page in asked for subject in page}) == 250


def test_an_identity_is_made_without_naming_its_subject(run: Any, answers: Answers) -> None:
    answers.fixed["POST", "/v1/access/identities"] = JSONResponse({"subject": "u-7"}, 201)
    assert run("access", "identity", "create", "--kind", "person", "--name", "Ann").output == "created u-7\n"
    assert json.loads(answers.of("POST", "/v1/access/identities")[0].body) == {
        "kind": "person",
        "name": "Ann",
    }


def test_a_list_of_identities_marks_erased_names(run: Any, answers: Answers) -> None:
    items = [
        {"subject": "u-1", "name": "", "name_erased_at": "2026"},
        {"subject": "u-2", "name": "", "name_erased_at": None},
    ]
    answers.fixed["GET", "/v1/access/identities"] = JSONResponse({"items": items, "next_page_token": ""})
    assert run("access", "identity", "list").output.count("(erased)") == 1


ERASE = "/v1/access/identities/u-1:erase-name"
WORDS = ("access", "erase-name", "u-1", "--reason", "left")


def test_nothing_is_erased_without_a_confirmation(run: Any, answers: Answers) -> None:
    result = run(*WORDS)
    assert (result.exit_code, answers.seen) == (2, [])
    assert "--yes" in result.stderr


def test_an_erasure_is_confirmed_and_shows_what_is_kept(
    run: Any, answers: Answers, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers.fixed["POST", ERASE] = JSONResponse(
        {"subject": "u-1", "name_erased_at": "2026", "kept": "reviews keep it"}
    )
    monkeypatch.setattr("regista.cli.access.on_a_terminal", lambda: True)
    assert run(*WORDS, typed="n\n").exit_code == 1
    assert not answers.of("POST", ERASE)
    assert "reviews keep it" in run(*WORDS, typed="y\n").output
    assert json.loads(answers.of("POST", ERASE)[0].body) == {"reason": "left"}
    assert run(*WORDS, "--yes", "--json").exit_code == 0


def test_a_name_is_corrected(run: Any, answers: Answers) -> None:
    answers.fixed["PUT", "/v1/access/identities/u-1/name"] = JSONResponse({"subject": "u-1"})
    assert run("access", "set-name", "u-1", "Ann Example").output == "the name of u-1 is Ann Example\n"
