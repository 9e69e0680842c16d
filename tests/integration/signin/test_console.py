"""People sign in to the console with Keycloak: no key is pasted, and tokens stay in the console's process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import parse_qs, urljoin, urlsplit

import httpx
import pytest

from regista.errors import Unauthorized
from services.console.console import Console
from services.console.service import application
from services.console.sessions import Session
from services.console.settings import ConsoleSettings

from .browser import Form
from .conftest import Office

pytestmark = [pytest.mark.servers, pytest.mark.slow]
CONSOLE = "http://127.0.0.1:1"
DEEP = "/models?kind=model"


@dataclass
class Browser:
    """A browser with the console in this process, and Keycloak at its address."""

    console: Console
    http: httpx.AsyncClient
    office: Office

    async def to_issuer(self, next_path: str = "/") -> httpx.Response:
        """Open the sign-in, and follow its link as far as the redirect to the issuer."""
        page = (await self.http.get(f"{CONSOLE}/sign-in", params={"next": next_path})).text
        link = page.partition('href="/sign-in/at')[2].partition('"')[0].replace("&amp;", "&")
        assert link, page
        return await self.http.get(f"{CONSOLE}/sign-in/at{link}")

    async def sign_in(self, who: str, next_path: str = "/") -> httpx.Response:
        """Sign in as this person, and return the answer of the page behind it."""
        answer = await self.to_issuer(next_path)
        for _ in range(8):
            for cookie in self.http.cookies.jar:
                cookie.secure = False  # as browsers do on loopback, send secure cookies over plain HTTP
            if answer.is_redirect:
                address = urljoin(str(answer.url), answer.headers["location"])
                if address.startswith(f"{CONSOLE}{next_path}") and "/signed-in" not in address:
                    return await self.http.get(address)
                answer = await self.http.get(address)
                continue
            form = Form(answer.text)
            assert form.action is not None, answer.text
            filled = form.values | {"username": who, "password": self.office.keycloak.password(who)}
            filled.pop("cancel", None)
            answer = await self.http.post(urljoin(str(answer.url), form.action), data=filled)
        raise AssertionError(f"no end: {answer.url} {answer.text[:500]}")

    @property
    def session(self) -> Session:
        found = self.console.sessions.signed_in.find(self.http.cookies["regista"])
        assert found is not None
        return found


@pytest.fixture
async def browser(office: Office) -> AsyncIterator[Browser]:
    settings = ConsoleSettings(public_urls=office.instance.urls, console_url=CONSOLE)
    console = Console(settings)
    mounts = {CONSOLE: httpx.ASGITransport(application(console))}
    async with console.http, httpx.AsyncClient(mounts=mounts, timeout=30) as http:
        yield Browser(console, http, office)


async def test_a_person_comes_back_from_the_issuer_to_the_page_of_the_link(browser: Browser) -> None:
    page = await browser.sign_in("ann", DEEP)
    assert page.status_code == 200
    assert str(page.url).endswith(DEEP)
    assert "Ann Example" in page.text
    assert "engineer" in page.text


async def test_no_token_reaches_the_browser(browser: Browser) -> None:
    page = await browser.sign_in("ann")
    tokens = browser.session.tokens
    assert tokens is not None
    shown = page.text + repr(browser.http.cookies.jar) + repr(browser.session)
    assert tokens.access not in shown
    assert tokens.refresh not in shown


async def test_the_request_to_the_issuer_has_a_challenge_and_a_state_of_this_browser(
    browser: Browser,
) -> None:
    sent = parse_qs(urlsplit((await browser.to_issuer()).headers["location"]).query)
    assert sent["code_challenge_method"] == ["S256"]
    assert sent["redirect_uri"] == [f"{CONSOLE}/signed-in"]
    again = parse_qs(urlsplit((await browser.to_issuer()).headers["location"]).query)
    assert again["state"] != sent["state"]
    assert again["code_challenge"] != sent["code_challenge"]


@pytest.mark.parametrize("state", ["", "another"])
async def test_a_sign_in_that_began_elsewhere_begins_no_session(browser: Browser, state: str) -> None:
    await browser.to_issuer()
    answer = await browser.http.get(f"{CONSOLE}/signed-in", params={"state": state, "code": "stolen"})
    assert answer.status_code == 403
    assert "regista" not in browser.http.cookies


async def test_an_issuer_that_is_not_trusted_is_not_visited(browser: Browser) -> None:
    answer = await browser.http.get(
        f"{CONSOLE}/sign-in/at", params={"issuer": "https://evil.example", "next": "/"}
    )
    assert answer.status_code == 404


async def test_a_token_that_ends_is_replaced_without_a_sign_in(browser: Browser) -> None:
    await browser.sign_in("ann")
    tokens = browser.session.tokens
    assert tokens is not None
    before, tokens.until = tokens.access, 0.0
    assert (await browser.http.get(f"{CONSOLE}/models")).status_code == 200
    assert tokens.access != before


async def test_a_person_whose_sign_in_ended_at_the_issuer_signs_in_again(browser: Browser) -> None:
    await browser.sign_in("ann")
    tokens = browser.session.tokens
    assert tokens is not None
    tokens.until, tokens.refresh = 0.0, "ended"
    answer = await browser.http.get(f"{CONSOLE}{DEEP}")
    assert answer.status_code == 303
    assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == [DEEP]


async def test_after_the_sign_out_neither_the_cookie_nor_the_refresh_token_works(browser: Browser) -> None:
    page = await browser.sign_in("ann")
    session, cookie = browser.session, browser.http.cookies["regista"]
    assert session.tokens is not None
    form = {"csrf": session.csrf}
    answer = await browser.http.post(f"{CONSOLE}/sign-out", data=form, headers={"origin": CONSOLE})
    assert answer.status_code == 303, page.text
    browser.http.cookies.set("regista", cookie, domain="127.0.0.1")
    assert (await browser.http.get(f"{CONSOLE}/models")).status_code == 303
    session.tokens.until = 0.0
    with pytest.raises(Unauthorized):
        await browser.console.issuers.renew(session.tokens)
