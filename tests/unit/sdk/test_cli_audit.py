"""The reports of `regista audit`: what they send, and what people see of the answer."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
from starlette.responses import JSONResponse

from .conftest import Answers

EVENT = {"event_id": "e", "type": "VersionPromoted", "leaf_index": 7, "fault": ""}
WHO = {"subject": "u-ann", "method": "api-key:k", "on_behalf_of": None}
PROMOTION = {
    "requested": {"by": WHO},
    "approvers": [{"subject": "u-bea"}, {"subject": "u-carl"}],
    "override": None,
    "policy": {"name": "default", "revision": 3},
}
DECISION = {
    "model": "fraud.churn",
    "number": 4,
    "environment": "production",
    "at": "2026-03-02T10:00:00.5+00:00",
    "by": WHO,
    "reasons": ["outage"],
    "bypassed": ["people"],
    "promotion": PROMOTION,
    "event": EVENT,
}


def page(*items: Any) -> JSONResponse:
    return JSONResponse({"at": "2026-03-02T10:00:00Z", "items": list(items), "next_page_token": ""})


def named(answers: Answers) -> None:
    answers.fixed["GET", "/v1/access/names"] = JSONResponse({"names": {"u-ann": "Ann", "u-bea": "Bea"}})


def test_promotions_show_who_requested_and_approved_under_which_policy(run: Any, answers: Answers) -> None:
    named(answers)
    answers.fixed["GET", "/v1/reports/promotions"] = page(DECISION)
    shown = run("audit", "promotions", "--since", "2026-03-01", "--until", "2026-03-31").output
    assert "Ann (u-ann)\tBea (u-bea), u-carl\tdefault 3" in shown
    (sent,) = answers.of("GET", "/v1/reports/promotions")
    assert (sent.query["since"], sent.query["until"]) == ("2026-03-01", "2026-03-31")


def test_an_override_shows_who_used_it_why_and_what_it_bypassed(run: Any, answers: Answers) -> None:
    named(answers)
    answers.fixed["GET", "/v1/reports/overrides"] = page(DECISION)
    assert "Ann (u-ann)\toutage\tpeople\tmissing" in run("audit", "overrides").output
    made = {"by": WHO | {"subject": "u-bea"}, "at": "2026-03-03T10:00:00Z", "justified": False, "comment": ""}
    answers.fixed["GET", "/v1/reports/overrides"] = page(DECISION | {"after_review": made})
    assert "people\tunjustified, Bea (u-bea)" in run("audit", "overrides").output
    made |= {"comment": "there was no outage"}
    answers.fixed["GET", "/v1/reports/overrides"] = page(DECISION | {"after_review": made})
    assert "unjustified, Bea (u-bea): there was no outage" in run("audit", "overrides").output


@pytest.mark.parametrize("form", ["csv", "wide"])
def test_promotions_show_the_conditions_of_the_approvals(run: Any, answers: Answers, form: str) -> None:
    approvers = [
        {"subject": "u-bea", "conditions": ["weekly check", "only EU"]},
        {"subject": "u-carl", "conditions": []},
    ]
    answers.fixed["GET", "/v1/reports/promotions"] = page(
        DECISION | {"promotion": PROMOTION | {"approvers": approvers}}
    )
    shown = run("audit", "promotions", "-o", form).output
    assert "conditions" in shown
    assert "weekly check; only EU" in shown


@pytest.mark.parametrize(("justified", "found"), [(True, "justified"), (False, "NOT justified")])
def test_a_timeline_states_what_an_after_review_found_and_its_comment(
    run: Any, answers: Answers, *, justified: bool, found: str
) -> None:
    data = {"justified": justified, "comment": "there was no outage"}
    answers.fixed["GET", "/v1/timeline/churn"] = page(
        EVENT | {"type": "OverrideReviewed", "actor": WHO, "data": data}
    )
    assert f"found it {found}; there was no outage" in run("timeline", "churn").stdout


def test_what_served_is_a_row_for_each_version(run: Any, answers: Answers) -> None:
    named(answers)
    entries = [
        {"number": n, "semver": f"1.{n}.0", "percent": 50, "role": r, "promotion": PROMOTION}
        for n, r in ((3, "champion"), (4, "challenger"))
    ]
    head = {"model": "fraud.churn", "environment": "production", "since": "2026-03-01T00:00:00Z"}
    answers.fixed["GET", "/v1/reports/serving"] = page(
        head | {"changed_by": {"event": EVENT}, "entries": entries}
    )
    lines = run("audit", "serving", "--at", "2026-03-15", "-o", "csv").output.splitlines()
    assert lines[0].startswith("model,environment,number,version,percent,role")
    assert [line.split(",")[2] for line in lines[1:]] == ["3", "4"]


def test_a_person_is_found_by_name_and_an_ambiguous_name_is_refused(run: Any, answers: Answers) -> None:
    people = [{"subject": "u-1", "name": "Grace Hopper"}, {"subject": "u-2", "name": "Ann"}]
    answers.fixed["GET", "/v1/access/identities"] = page(*people)
    answers.fixed["GET", "/v1/reports/acts/u-1"] = page()
    assert run("audit", "person", "grace hopper").exit_code == 0
    assert len(answers.of("GET", "/v1/reports/acts/u-1")) == 1
    answers.fixed["GET", "/v1/access/identities"] = page(*people, {"subject": "u-3", "name": "GRACE HOPPER"})
    refused = run("audit", "person", "Grace Hopper")
    assert refused.exit_code == 2
    assert "u-1, u-3" in refused.output


@pytest.mark.parametrize("person", ["Grace Hoper", "u-3"])
def test_a_name_that_no_identity_has_is_refused_instead_of_without_acts(
    run: Any, answers: Answers, person: str
) -> None:
    answers.fixed["GET", "/v1/access/identities"] = page({"subject": "u-1", "name": "Grace Hopper"})
    answers.fixed["GET", f"/v1/reports/acts/{quote(person)}"] = page()
    answers.fixed["GET", f"/v1/reports/acts/{person}"] = page()
    refused = run("audit", "person", person)
    assert refused.exit_code == 4
    assert "erased" in refused.output


def test_attempts_of_a_person_are_found_by_name_and_a_name_of_no_one_is_refused(
    run: Any, answers: Answers
) -> None:
    answers.fixed["GET", "/v1/access/identities"] = page({"subject": "u-1", "name": "Grace Hopper"})
    answers.fixed["GET", "/v1/reports/attempts"] = page()
    assert run("audit", "attempts", "--identity", "grace hopper").exit_code == 0
    assert answers.of("GET", "/v1/reports/attempts")[0].query["subject"] == "u-1"
    assert run("audit", "attempts", "--identity", "Grace Hoper").exit_code == 4


def test_rights_show_each_role_with_who_granted_it(run: Any, answers: Answers) -> None:
    named(answers)
    role = {"role": "approver", "namespace": "fraud", "granted": {"by": WHO, "at": "2026-03-01T00:00:00Z"}}
    answers.fixed["GET", "/v1/reports/rights"] = page(
        {"subject": "u-bea", "kind": "person", "roles": [role], "keys": [{"key_id": "k"}]}
    )
    shown = run("audit", "rights", "--role", "approver").output
    assert "Bea (u-bea)\tperson\tapprover\tfraud\t2026-03-01T00:00:00Z\tAnn (u-ann)\t1" in shown


@pytest.mark.parametrize(
    ("words", "path"),
    [(("timeline", "churn"), "/v1/timeline/churn"), (("audit", "person", "u-ann"), "/v1/reports/acts/u-ann")],
)
def test_a_denied_attempt_states_the_rule_and_why(
    run: Any, answers: Answers, words: tuple[str, ...], path: str
) -> None:
    named(answers)
    answers.fixed["GET", "/v1/access/identities"] = page({"subject": "u-ann", "name": "Ann"})
    data = {"code": "own_work", "detail": "u-ann made this version"}
    answers.fixed["GET", path] = page(EVENT | {"type": "AttemptsDenied", "actor": WHO, "data": data})
    assert "own_work; u-ann made this version" in run(*words).stdout


def test_a_timeline_comes_newest_first_without_notes_unless_requested(run: Any, answers: Answers) -> None:
    answers.fixed["GET", "/v1/timeline/churn"] = page()
    run("timeline", "churn")
    run("timeline", "churn", "--oldest", "--notes")
    first, second = answers.of("GET", "/v1/timeline/churn")
    assert (first.query["newest"], first.query["notes"]) == ("true", "false")
    assert (second.query["newest"], second.query["notes"]) == ("false", "true")
