"""The moment of an address: which texts are one, and which links keep it."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from starlette.responses import Response
from starlette.routing import Match, Route

from regista.errors import Invalid
from services.console import pages
from services.console.as_of import moment_of, same_moment, until
from services.console.view import Page
from tests.ui.addresses import THEN as ADDRESSES
from tests.unit.console.console_at import URL, at, sign_in

NOW = datetime(2026, 3, 10, 12, 0, tzinfo=UTC)
THEN = "2026-03-01T12:00:00Z"


@pytest.mark.parametrize(
    ("text", "moment"),
    [
        ("", ""),
        ("2026-03-01", "2026-03-01T23:59:59.999999Z"),
        ("2026-03-01T12:00:00Z", THEN),
        ("2026-03-01T14:00:00+02:00", THEN),
        ("2026-03-01T12:00:00", THEN),
        ("2026-03-10", "2026-03-10T11:59:55Z"),
    ],
)
def test_a_day_is_its_end_and_a_time_is_itself(text: str, moment: str) -> None:
    assert moment_of(text, NOW) == moment


@pytest.mark.parametrize(
    "text", ["yesterday", "2026-02-30", "2026-03-01T25:00", "0001-01-01T00:00:00+14:00", "<script>", "1e9"]
)
def test_a_text_that_is_no_time_is_refused_with_how_to_write_one(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        moment_of(text, NOW)
    assert refused.value.code == "invalid_moment"
    assert "2026-03-01" in (refused.value.advice or "")


@pytest.mark.parametrize("text", ["2026-03-11", "2026-03-10T12:02:00Z", "9999-12-31"])
def test_a_moment_in_the_future_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        moment_of(text, NOW)
    assert refused.value.code == "moment_in_the_future"


@pytest.mark.parametrize(
    ("href", "kept"),
    [
        ("/models", "/models?as_of=2026-03-01T12%3A00%3A00Z"),
        ("/search?q=a", "/search?q=a&as_of=2026-03-01T12%3A00%3A00Z"),
        ("/models?as_of=2026-02-01", "/models?as_of=2026-02-01"),
    ],
)
def test_a_link_keeps_the_moment_once(href: str, kept: str) -> None:
    assert same_moment(href, THEN) == kept
    assert same_moment(href, "") == href


@pytest.mark.parametrize(
    ("text", "end"),
    [("", THEN), ("2026-02-01", "2026-02-01"), ("2026-03-01", THEN), ("2026-04-01", THEN), ("x", THEN)],
)
def test_a_period_that_is_seen_from_a_moment_ends_no_later(text: str, end: str) -> None:
    assert until(text, THEN) == end
    assert until(text, "") == text


async def test_a_wrong_moment_is_answered_before_any_service_is_asked() -> None:
    asked: list[httpx.Request] = []

    def services(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, json={"items": []})

    console, browser = at(services)
    async with console.http, browser:
        sign_in(console, browser)
        page = await browser.get(f"{URL}/models?as_of=soon&q=a")
        assert (page.status_code, asked) == (422, [])
        assert 'href="/models?q=a">Return to now' in page.text


async def test_an_error_leads_to_the_list_of_the_same_moment() -> None:
    problem = {
        "code": "unknown_review",
        "detail": "None.",
        "status": 404,
        "listed_at": "/v1/reviews?state=open",
    }
    console, browser = at(lambda _: httpx.Response(404, json=problem))
    async with console.http, browser:
        sign_in(console, browser)
        then = (await browser.get(f"{URL}/reviews/r9?as_of={THEN}")).text
        now = (await browser.get(f"{URL}/reviews/r9")).text
    assert f'href="{same_moment("/reviews", THEN)}">See the list' in then
    assert 'href="/reviews">See the list' in now


@pytest.mark.parametrize("page", pages.PAGES, ids=lambda page: page.path)
async def test_an_error_of_every_page_leads_back_from_the_moment(page: Page) -> None:
    def services(request: httpx.Request) -> httpx.Response:
        problem = {"code": "unknown_model", "detail": "There is none.", "status": 404}
        return httpx.Response(404, json=problem)

    console, browser = at(services)
    async with console.http, browser:
        sign_in(console, browser)
        path = page.path.replace("{", "").replace("}", "")
        answer = await browser.get(f"{URL}{path}?as_of={THEN}&stream=x")
        assert answer.status_code in {200, 404}
        assert "eturn to now" in answer.text


ELSEWHERE = {"/reviews/{review}", "/history/events/{event}", "/access/issuers/{issuer}"}
"""Their ids are not known beforehand: tests/ui/test_as_of.py finds two of them; below is an issuer."""


@pytest.mark.parametrize(
    "page", [one for one in pages.PAGES if not isinstance(one.then, str)], ids=lambda page: page.path
)
def test_each_page_that_has_a_past_is_walked_without_finding_a_form(page: Page) -> None:
    route = Route(page.path, lambda _: Response())
    scopes = [
        {"type": "http", "method": "GET", "path": address.partition("?")[0]} for address in ADDRESSES.values()
    ]
    walked = any(route.matches(scope)[0] is Match.FULL for scope in scopes)
    assert walked != (page.path in ELSEWHERE)


DECIDED = {
    "by": {"subject": "u-root", "method": "api-key:1", "on_behalf_of": None},
    "at": "2026-02-01T12:00:00Z",
    "reason": "our sign-in",
    "event": {"event_id": "e1", "stream": "access-issuer:k"},
}
ISSUER_THEN = {
    "key": "k",
    "issuer": "https://sso.example",
    **dict.fromkeys(("audience", "client_id", "groups_claim"), "x"),
    "scopes": ["openid"],
    "algorithms": ["RS256"],
    "trusted": DECIDED,
    "ended": None,
    "groups": [{"group": "board", "role": "approver", "namespace": "fraud", "mapped": DECIDED}],
}


@pytest.mark.parametrize("ended", [None, DECIDED | {"reason": "its key leaked"}])
async def test_an_issuer_is_shown_as_it_was_without_acts(ended: object) -> None:
    def services(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/reports/issuers":
            assert request.url.params["at"] == THEN
            return httpx.Response(200, json={"items": [ISSUER_THEN | {"ended": ended}]})
        return httpx.Response(404, json={"code": "none", "detail": "None."})

    console, browser = at(services)
    async with console.http, browser:
        sign_in(console, browser)
        page = await browser.get(f"{URL}/access/issuers/k?as_of={THEN}")
        missing = await browser.get(f"{URL}/access/issuers/other?as_of={THEN}")
    assert page.status_code == 200
    content = page.text.split("<main")[1].split("</main>")[0]
    assert "board" in content
    assert ("its key leaked" in content) == (ended is not None)
    assert 'method="post"' not in content
    assert missing.status_code == 404
    assert "had not been trusted yet" in missing.text
