"""The page of links of identities: who sees which, what is offered to whom, and what its forms send."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx
import pytest

from services.console.sessions import Session
from tests.unit.console.console_at import CALLER, URL, at

LINK = {"subject": "bob", "login": False, "linked_at": "2026-03-01T00:00:00Z", "linked_by": "root"}
LINKS = [
    LINK | {"other": "bob-old", "reason": "from before the sign-in"},
    LINK | {"other": "octocat", "login": True, "reason": "at GitHub"},
    LINK | {"subject": "person:ann", "other": "ann-old", "reason": "hers"},
]
ADMIN = [{"role": "admin", "namespace": "*"}]


class Registry:
    """What the console requests of the registry, and what an admin or an ordinary person gets."""

    def __init__(self, *, all_: bool) -> None:
        self.all, self.sent = all_, list[httpx.Request]()

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.method != "GET":
            self.sent.append(request)
            return httpx.Response(200, json={})
        if request.url.path == "/v1/access/links":
            refused = httpx.Response(403, json={"code": "role_missing", "detail": "No.", "status": 403})
            return httpx.Response(200, json={"items": LINKS, "next_page_token": ""}) if self.all else refused
        if request.url.path == "/v1/access/identities/person:ann":
            return httpx.Response(200, json={"links": [{k: v for k, v in LINKS[2].items() if k != "reason"}]})
        return httpx.Response(200, json={"items": [], "names": {}})


@asynccontextmanager
async def page_of(registry: Registry, roles: list[dict[str, str]]) -> AsyncIterator[tuple[Any, Session]]:
    console, browser = at(registry)
    session = Session("rg_key", CALLER | {"roles": roles})
    async with console.http, browser:
        id_ = console.sessions.signed_in.put(session)
        browser.cookies.set(console.cookies.session, id_, domain="127.0.0.1")
        yield browser, session


async def test_an_admin_sees_all_links_with_their_reasons_and_removes_those_of_others_only() -> None:
    async with page_of(Registry(all_=True), ADMIN) as (browser, _):
        page = (await browser.get(f"{URL}/access/links")).text
        for reason in ("from before the sign-in", "at GitHub", "hers"):
            assert reason in page
        assert "Link two identities" in page
        assert page.count('name="act" value="unlink-') == 2
        assert "Links of your own identity are removed by another admin" in page


async def test_who_is_no_admin_sees_own_links_and_what_role_others_need() -> None:
    async with page_of(Registry(all_=False), []) as (browser, _):
        page = (await browser.get(f"{URL}/access/links")).text
        assert "You see your own links." in page
        assert "ann-old" in page
        assert "octocat" not in page
        assert "Link another identity of your own" in page
        assert "Link two identities" not in page
        assert "you need the role admin" in page


@pytest.mark.parametrize("path", ["/v1/access/links", "/v1/access/identities/person:ann"])
async def test_links_that_cannot_be_read_are_not_stated_to_be_none(path: str) -> None:
    class Unavailable(Registry):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            if request.url.path == path:
                return httpx.Response(
                    503, json={"code": "unavailable", "detail": "Unavailable.", "status": 503}
                )
            return super().__call__(request)

    async with page_of(Unavailable(all_=False), []) as (browser, _):
        page = await browser.get(f"{URL}/access/links")
    assert page.status_code == 503
    assert "is linked" not in page.text


@pytest.mark.parametrize(
    ("act", "form", "method", "path", "sent"),
    [
        (
            "link",
            {"subject": "bob", "kind": "login", "other": "octocat"},
            "PUT",
            "/v1/access/identities/bob/links",
            {"other": "octocat", "login": True, "reason": "why"},
        ),
        (
            "link-own",
            {"proof": "rg_other_secret"},
            "PUT",
            "/v1/access/identities/person%3Aann/links",
            {"proof": "rg_other_secret", "reason": "why"},
        ),
        (
            "unlink",
            {"subject": "bob", "kind": "identity", "other": "bob-old"},
            "DELETE",
            "/v1/access/identities/bob/links",
            {"other": "bob-old", "login": "false", "reason": "why"},
        ),
    ],
)
async def test_a_form_sends_what_was_typed_with_its_reason(
    act: str, form: dict[str, str], method: str, path: str, sent: dict[str, Any]
) -> None:
    registry = Registry(all_=True)
    async with page_of(registry, ADMIN) as (browser, session):
        data = form | {"csrf": session.csrf, "act": act, "reason": "why"}
        answer = await browser.post(f"{URL}/access/links/{act}", data=data)
        assert (answer.status_code, answer.headers["location"]) == (303, "/access/links")
    (request,) = registry.sent
    assert (request.method, request.url.raw_path.decode().partition("?")[0]) == (method, path)
    body = dict(request.url.params) if method == "DELETE" else json.loads(request.content)
    assert body == sent


async def test_a_proof_is_not_given_back_when_it_is_refused() -> None:
    class Refusing(Registry):
        def __call__(self, request: httpx.Request) -> httpx.Response:
            problem = {"code": "no_proof", "detail": "The proof is no valid key.", "status": 403}
            return super().__call__(request) if request.method == "GET" else httpx.Response(403, json=problem)

    async with page_of(Refusing(all_=True), ADMIN) as (browser, session):
        form = {"csrf": session.csrf, "act": "link-own", "reason": "mine since March", "proof": "rg_secret_x"}
        page = await browser.post(f"{URL}/access/links/link-own", data=form)
        assert page.status_code == 403
        assert "The proof is no valid key." in page.text
        assert "mine since March" in page.text
        assert "rg_secret_x" not in page.text
