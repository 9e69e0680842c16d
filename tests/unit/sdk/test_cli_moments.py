"""Lists and lineage as of a moment, issuers that were trusted then, and links: what is asked and shown."""

from __future__ import annotations

from typing import Any

from starlette.responses import JSONResponse

from regista.client.sync_client import Client

from .conftest import Answers
from .test_cli_audit import WHO, named, page

MODEL = {"model": "fraud.churn", "kind": "model", "owner": "u-ann", "tier": "low", "newest": 1}
DECIDED = {"by": WHO, "at": "2026-03-01T00:00:00Z", "reason": "our sign-in"}
ISSUER = {"key": "k", "issuer": "https://sso.example", "trusted": DECIDED, "ended": None, "groups": []}


def test_models_are_listed_as_of_a_moment_page_by_page(run: Any, answers: Answers) -> None:
    named(answers)
    first = {"items": [MODEL], "too_long": ["fraud.long"], "next_page_token": "t"}
    rest = {"items": [MODEL | {"model": "fraud.two"}], "too_long": [], "next_page_token": ""}
    sent = iter((first, rest))

    async def pages(scope: Any, receive: Any, send: Any) -> None:
        await JSONResponse(next(sent))(scope, receive, send)

    fixed: Any = answers.fixed
    fixed["GET", "/v1/models"] = pages
    done = run("models", "list", "--at", "2026-03-01")
    assert done.exit_code == 0, done.output
    assert "fraud.churn" in done.stdout
    assert "fraud.two" in done.stdout
    assert "fraud.long is not shown" in done.stderr
    asked = answers.of("GET", "/v1/models")
    assert [(one.query["as_of"], one.query.get("page_token")) for one in asked] == [
        ("2026-03-01", None),
        ("2026-03-01", "t"),
    ]


def test_of_the_models_of_a_moment_no_more_are_asked_for_than_are_wanted(
    client: Client, answers: Answers
) -> None:
    answers.fixed["GET", "/v1/models"] = JSONResponse(
        {"items": [MODEL], "too_long": [], "next_page_token": "t"}
    )
    assert client.models_at("2026-03-01", 2)["items"] == [MODEL, MODEL]
    assert [one.query["page_size"] for one in answers.of("GET", "/v1/models")] == ["2", "1"]


def test_a_list_of_a_moment_is_not_filtered(run: Any, answers: Answers) -> None:
    refused = run("models", "list", "--at", "2026-03-01", "--tier", "high")
    assert refused.exit_code == 2
    assert "without filters" in refused.output
    assert answers.of("GET", "/v1/models") == []


def test_a_lineage_is_asked_for_as_of_a_moment_and_names_what_is_not_known(
    run: Any, answers: Answers
) -> None:
    path = "/v1/models/churn/versions/3/lineage"
    found = {"ancestors": [], "descendants": [], "hidden": 0, "truncated": False, "too_long": ["base"]}
    answers.fixed["GET", path] = JSONResponse(found)
    done = run("versions", "lineage", "churn@3", "--at", "2026-03-01")
    assert done.exit_code == 0, done.output
    assert "the stages in base are not known" in done.stderr
    assert answers.of("GET", path)[0].query["as_of"] == "2026-03-01"
    assert run("versions", "lineage", "hf://a/b@1", "--at", "2026-03-01").exit_code == 2


def test_issuers_of_a_moment_are_shown_with_each_group_and_who_mapped_it(run: Any, answers: Answers) -> None:
    named(answers)
    group = {"group": "board", "role": "approver", "namespace": "fraud", "mapped": DECIDED}
    of_groups = ISSUER | {"groups": [group]}
    ended = ISSUER | {"issuer": "https://old.example", "ended": DECIDED | {"reason": "its key leaked"}}
    answers.fixed["GET", "/v1/reports/issuers"] = page(of_groups, ended)
    shown = run("audit", "issuers", "--at", "2026-03-15").stdout
    assert "https://sso.example\tyes\tboard\tapprover\tfraud\t2026-03-01T00:00:00Z\tAnn (u-ann)" in shown
    assert "https://old.example\tno" in shown
    assert "its key leaked" in shown
    assert answers.of("GET", "/v1/reports/issuers")[0].query["at"] == "2026-03-15"


def test_links_are_listed_with_since_when_by_whom_and_why(run: Any, answers: Answers) -> None:
    named(answers)
    link = {"subject": "u-bea", "linked_at": "2026-03-01T00:00:00Z", "linked_by": "u-ann", "reason": "hers"}
    answers.fixed["GET", "/v1/access/links"] = page(
        link | {"other": "bea", "login": False}, link | {"other": "octocat", "login": True}
    )
    shown = run("access", "links").stdout
    assert "u-bea\tbea\t2026-03-01T00:00:00Z\tAnn (u-ann)\thers" in shown
    assert "octocat (login)" in shown
