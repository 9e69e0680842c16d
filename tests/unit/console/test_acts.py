"""Acts: what their refusal leads to, and where their own address leads."""

from __future__ import annotations

import httpx
import pytest
from starlette.requests import Request
from starlette.routing import Route

from services.console import pages
from services.console.console import Console
from services.console.sessions import Session
from services.console.view import Act, View
from tests.unit.console.console_at import CALLER, URL, at, sign_in

OF_ITS_OWN = [act for act in pages.ACTS if act.path not in {page.path for page in pages.PAGES}]


def services(request: httpx.Request) -> httpx.Response:
    """Refuse every change, and answer every question with an empty list."""
    if request.method == "GET":
        return httpx.Response(200, json={"items": [], "next_page_token": None, "names": {}})
    return httpx.Response(409, json={"code": "refused", "detail": "It is refused.", "status": 409})


def view_of(form_at: str, page: str = "") -> View:
    path, _, query = form_at.partition("?")
    scope = {"type": "http", "method": "POST", "path": path, "query_string": query.encode(), "headers": []}
    scope |= {"scheme": "http", "server": ("127.0.0.1", 1)}
    console, _ = at(services)
    return View(Request(scope), Session("rg_key", CALLER, None), console.calls(), address=page)


def test_the_links_of_a_refused_act_lead_to_its_page() -> None:
    view = view_of("/reviews/R4/approve?back=1", "/reviews/R4?back=1")
    assert (view.here, view.path, view.now) == ("/reviews/R4?back=1", "/reviews/R4", "/reviews/R4?back=1")


def test_the_page_of_now_has_neither_a_moment_nor_a_place_in_a_list() -> None:
    view = view_of("/models/a/act?as_of=2026-03-01&q=x&page=t", "/models/a?as_of=2026-03-01&q=x&page=t")
    assert view.now == "/models/a?q=x"


def signed_in(console: Console, browser: httpx.AsyncClient, *roles: tuple[str, str]) -> Session:
    """Return the session of Ann with the roles, each in a namespace."""
    session = console.sessions.signed_in.find(sign_in(console, browser))
    assert session is not None
    held = [{"role": role, "namespace": namespace} for role, namespace in roles]
    session.caller = {**session.caller, "roles": held}
    return session


async def test_the_past_of_a_refused_act_is_that_of_its_page() -> None:
    console, browser = at(services)
    async with console.http, browser:
        csrf = signed_in(console, browser, ("auditor", "*")).csrf
        answer = await browser.post("/access/links/link", data={"csrf": csrf, "reason": "one person"})
        assert answer.status_code == 409
        assert 'href="/access/links?as_of=' in answer.text
        assert "/access/links/link?as_of" not in answer.text


@pytest.mark.parametrize("act", OF_ITS_OWN, ids=lambda act: act.path)
async def test_the_address_of_an_act_leads_to_its_page(act: Act) -> None:
    console, browser = at(services)
    path = act.path.replace("{", "").replace("}", "")
    names = Route(act.page.path, lambda _: None, name="page").param_convertors
    page = Route(act.page.path, lambda _: None, name="page").url_path_for("page", **{n: n for n in names})
    async with console.http, browser:
        answer = await browser.get(f"{URL}{path}?as_of=2026-03-01")
        assert (answer.status_code, answer.headers["location"]) == (303, f"{page}?as_of=2026-03-01")


async def test_the_past_is_offered_to_those_who_may_read_it() -> None:
    offered = []
    for roles in ((), (("auditor", "fraud"),), (("auditor", "*"),)):
        console, browser = at(services)
        async with console.http, browser:
            signed_in(console, browser, *roles)
            shown = [(await browser.get(path)).text for path in ("/models", "/rollouts", "/policies")]
            offered.append(["See it as it was" in text for text in shown])
    assert offered == [[True, False, False], [True, True, False], [True, True, True]]
