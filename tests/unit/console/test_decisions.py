"""What people decided, where an auditor and an approver read it: verdicts, comments, conditions, rules."""

from __future__ import annotations

import csv
import io
import zipfile
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest
from starlette.requests import Request

from services.console.calls import Calls
from services.console.rendering import environment
from services.console.sessions import Session
from services.console.view import View
from tests.unit.console.console_at import CALLER, URL, at, sign_in

AT = "2026-03-01T10:00:00Z"
ANN, OSCAR = ({"subject": s, "method": "api-key:k", "on_behalf_of": None} for s in ("person:ann", "oscar"))
AFTER = {"by": ANN, "at": AT, "justified": False, "comment": "there was no outage", "event": {}}
DECISION: dict[str, Any] = {
    "model_id": "m",
    "model": "fraud.scoring",
    "number": 4,
    "environment": "production",
    "at": AT,
    "by": OSCAR,
    "reasons": ["outage"],
    "bypassed": ["people"],
    "promotion": None,
    "after_review": None,
    "event": {"event_id": "e", "type": "OverrideUsed", "leaf_index": 7, "fault": ""},
}
REVIEWED = {
    "event_id": "e2",
    "stream": "review-r1",
    "type": "OverrideReviewed",
    "recorded_at": AT,
    "actor": ANN,
    "number": 4,
    "environment": "production",
    "reason": "",
    "hidden": False,
    "caused_by": None,
    "leaf_index": 7,
    "data": {"justified": False, "comment": "there was no outage"},
}
ATTEMPTS = REVIEWED | {
    "stream": "denied-approval-oscar",
    "type": "AttemptsDenied",
    "actor": {"subject": "service:approval", "method": "ed25519:k", "on_behalf_of": None},
    "number": None,
    "environment": None,
    "data": {
        "subject": "oscar",
        "code": "not_independent",
        "action": "POST /v1/reviews/{review}/approve",
        "count": 3,
        "last_at": AT,
        "detail": "you made it",
    },
}
REVIEW: dict[str, Any] = {
    "review_id": "r1",
    "revision": 3,
    "state": "closed",
    "model_id": "m",
    "model": "fraud.scoring",
    "number": 4,
    "semver": "1.4.0",
    "environment": "production",
    "serve": False,
    "needs": 2,
    "approvers": [],
    "roles": ["approver"],
    "seal": {},
    "policy": {"name": "strict", "revision": 3, "digest": "sha256:d"},
    "results": [],
    "evidence": {},
    "evidence_digest": "",
    "opened_at": AT,
    "expires_at": None,
    "due_at": None,
    "requester": "oscar",
    "summary": {
        "requested": {"by": "oscar", "reason": "outage", "at": AT},
        "creator": "",
        "run_url": "",
        "champion": None,
        "changes": {},
        "callers": {"bump": "minor", "breaks": [], "notice": ""},
        "policy": {
            "name": "strict",
            "revision": 3,
            "approvers": 2,
            "roles": ["approver"],
            "dependent_because": "",
        },
        "accept": [],
        "sealed": {},
        "deciders": [],
    },
    "entries": [
        {
            "revision": 3,
            "kind": "OverrideReviewed",
            "by": "person:ann",
            "name": "",
            "text": "there was no outage",
            "conditions": [],
            "justified": False,
            "at": AT,
        }
    ],
}
POLICY = {
    "name": "strict",
    "revision": 3,
    "policy": {
        "stages": {"Production": [{"name": "", "kind": "metric_threshold", "params": {"metric": "auc"}}]}
    },
}
NAMES = {"names": {"person:ann": "Ann Example", "oscar": "Oscar Example"}}
CHECKPOINTS = {"items": [], "origin": "o", "verifier_key": "key"}


class Answers:
    """The answers of the services by path, and the paths that the console requested."""

    def __init__(self, found: Mapping[str, Any]) -> None:
        self.found = {"/v1/access/names": NAMES, "/v1/log-checkpoints": CHECKPOINTS, **found}
        self.requests: list[httpx.Request] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        answer = self.found.get(request.url.path)
        if answer is None:
            return httpx.Response(403, json={"code": "role_missing", "detail": "No.", "status": 403})
        return httpx.Response(200, json=answer)


def items(*found: Any) -> Mapping[str, Any]:
    return {"items": list(found), "next_page_token": ""}


@asynccontextmanager
async def browsing(found: Mapping[str, Any]) -> AsyncIterator[tuple[httpx.AsyncClient, Answers]]:
    answers = Answers(found)
    console, browser = at(answers)
    async with console.http, browser:
        sign_in(console, browser)
        yield browser, answers


async def read(path: str, found: Mapping[str, Any]) -> httpx.Response:
    async with browsing(found) as (browser, _):
        return await browser.get(f"{URL}{path}")


def rows(answer: httpx.Response) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(answer.text)))


@pytest.mark.parametrize(
    ("justified", "shown"), [(True, "found it justified"), (False, "found it NOT justified")]
)
async def test_a_review_shows_what_its_after_review_found(*, justified: bool, shown: str) -> None:
    review = REVIEW | {"entries": [REVIEW["entries"][0] | {"justified": justified}]}
    page = (await read("/reviews/r1", {"/v1/reviews/r1": review, "/v1/policies/strict": POLICY})).text
    assert f"reviewed the override, {shown}" in page.replace("<b>", "")
    assert "there was no outage" in page


async def test_a_review_shows_the_rules_of_its_policy_at_that_revision() -> None:
    found = {"/v1/reviews/r1": REVIEW, "/v1/policies/strict": POLICY}
    async with browsing(found) as (browser, answers):
        page = (await browser.get(f"{URL}/reviews/r1")).text
        assert "metric threshold" in page
        assert "auc" in page
        (asked,) = [r for r in answers.requests if r.url.path == "/v1/policies/strict"]
        assert asked.url.params["revision"] == "3"


async def test_a_review_links_to_its_policy_where_the_rules_are_not_to_be_had() -> None:
    page = (await read("/reviews/r1", {"/v1/reviews/r1": REVIEW})).text
    assert 'href="/policies/strict?revision=3">The page of the policy strict at revision 3</a>' in page
    assert "Text of the policy" not in page


async def test_a_list_of_overrides_states_what_the_after_review_found_or_that_it_is_missing() -> None:
    found = {"/v1/reports/overrides": items(DECISION, DECISION | {"after_review": AFTER})}
    page = (await read("/history?what=overrides", found)).text
    assert "found it NOT justified" in page
    assert "Ann Example" in page
    assert "there was no outage" in page
    assert "missing" in page
    missing, made = rows(await read("/history/report.csv?what=overrides", found))
    columns = ("after-review", "after-review by", "after-review comment")
    assert [missing[name] for name in columns] == ["missing", "", ""]
    assert [made[name] for name in columns] == [
        "found it NOT justified",
        "Ann Example",
        "there was no outage",
    ]


async def test_denied_attempts_state_who_tried_what_and_how_often() -> None:
    found = {"/v1/reports/attempts": items(ATTEMPTS)}
    answer = await read("/history?what=attempts", found)
    assert answer.status_code == 200
    content = answer.text.split("<main")[1]
    assert "Oscar Example" in content
    assert "not_independent" in content
    assert "3 times" in content
    (row,) = rows(await read("/history/report.csv?what=attempts", found))
    assert (row["by"], row["what"]) == ("Oscar Example", "not_independent")


async def test_a_timeline_states_what_an_after_review_found_and_its_comment() -> None:
    found = {"/v1/timeline/fraud.scoring": items(REVIEWED)}
    page = (await read("/history?what=timeline&model=fraud.scoring", found)).text
    assert "found it NOT justified" in page
    assert "“there was no outage”" in page
    (row,) = rows(await read("/history/report.csv?what=timeline&model=fraud.scoring", found))
    assert row["what"] == "reviewed the override, found it NOT justified"
    assert row["why"] == "there was no outage"


@pytest.mark.parametrize(("state", "shown"), [("withdrawn", True), ("promoted", False)])
def test_a_version_states_which_override_was_found_unjustified(*, state: str, shown: bool) -> None:
    promotion = {
        "promotion_id": "r1",
        "environment": "production",
        "state": state,
        "requested_at": AT,
        "requester": "oscar",
        "reason": "outage",
        "conditions": [],
    }
    version = {"promotions": [promotion], "bump": None, "notes": [], "registration_notes": []}
    page = '{% import "parts.html" as parts with context %}{% include "version_side.html" %}'
    request = Request({"type": "http", "method": "GET", "path": "/", "query_string": b"", "headers": []})
    view = View(request, Session("rg_key", CALLER), Calls(httpx.AsyncClient(), {}))
    side = environment({}).from_string(page).render(version=version, names={}, view=view)
    assert ("found it NOT justified" in side) is shown
    assert ('href="/reviews/r1"' in side) is shown


async def test_a_report_of_promotions_has_the_conditions_of_the_approvals() -> None:
    approvers = [
        {"subject": "person:ann", "comment": "", "conditions": ["weekly check", "only EU"]},
        {"subject": "oscar", "comment": "", "conditions": []},
    ]
    promotion = {"requested": None, "override": None, "approvers": approvers}
    found = {"/v1/reports/promotions": items(DECISION | {"promotion": promotion})}
    (row,) = rows(await read("/history/report.csv?what=promotions", found))
    assert row["conditions"] == "weekly check; only EU"
    assert row["after-review"] == ""


def guide_of(answer: httpx.Response) -> tuple[str, list[str]]:
    with zipfile.ZipFile(io.BytesIO(answer.content)) as files:
        proofs = [name for name in files.namelist() if name.startswith("proofs/")]
        return files.read("README.txt").decode(), proofs


async def test_the_guide_of_a_bundle_names_a_proof_that_is_in_it() -> None:
    found = {
        "/v1/reports/overrides": items(DECISION),
        "/v1/log-checkpoints": CHECKPOINTS | {"items": [{"size": 9, "note": "note"}]},
        "/v1/proofs/inclusion": {"leaf_index": 7, "size": 9, "proof": [], "stored": ""},
    }
    guide, proofs = guide_of(await read("/history/bundle.zip?what=overrides", found))
    assert proofs == ["proofs/leaf-7.json"]
    assert "verify-proof proofs/leaf-7.json --key 'key'" in guide


async def test_the_guide_of_a_bundle_without_proofs_names_none() -> None:
    found = {"/v1/reports/overrides": items(DECISION)}
    guide, proofs = guide_of(await read("/history/bundle.zip?what=overrides", found))
    assert proofs == []
    assert "proofs/" not in guide
    assert "sealed" in guide
