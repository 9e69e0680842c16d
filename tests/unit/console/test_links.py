"""Links that sign a person in once: who makes them, how often they work, and what they leave behind."""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator
from dataclasses import dataclass

import httpx
import pytest

from services.console.console import Console
from services.console.sessions import LINK_FOR, Store
from services.console.settings import ConsoleSettings
from shared.foundation.settings import SettingsWrong
from tests.unit.console.console_at import CALLER, URL, at, sign_in

SECRET, KEY = "s" * 32, "rg_ann_secret"
BEARER = {"authorization": f"Bearer {SECRET}"}


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@dataclass
class Desk:
    """A console that makes links, a browser, and the clock of the links."""

    console: Console
    browser: httpx.AsyncClient
    clock: Clock

    async def code(self) -> str:
        """Make a link, and return its code."""
        answer = await self.browser.post("/sign-in/links", json={"key": KEY}, headers=BEARER)
        assert answer.status_code == 201, answer.text
        link, _, code = answer.json()["url"].partition("#")
        assert link == f"{URL}/sign-in/link"
        return str(code)

    async def use(self, code: str) -> httpx.Response:
        return await self.browser.post("/sign-in/link", data={"code": code})


def registry(request: httpx.Request) -> httpx.Response:
    known = request.headers.get("authorization") == f"Bearer {KEY}"
    return httpx.Response(200, json=CALLER) if known else httpx.Response(401, json={"code": "bad_key"})


@pytest.fixture
async def desk() -> AsyncIterator[Desk]:
    console, browser = at(registry, console_link_secret=SECRET)
    clock = Clock()
    console.sessions.links = Store(3, LINK_FOR, LINK_FOR, clock)
    async with console.http, browser:
        yield Desk(console, browser, clock)


async def test_a_link_signs_in_once(desk: Desk) -> None:
    code = await desk.code()
    answer = await desk.use(code)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    assert desk.console.sessions.signed_in.find(desk.browser.cookies["regista"]) is not None
    desk.browser.cookies.clear()
    again = await desk.use(code)
    assert again.status_code == 403
    assert "signs in once" in again.text
    assert not desk.browser.cookies


async def test_a_link_ends_after_ten_minutes(desk: Desk) -> None:
    code = await desk.code()
    desk.clock.now = 601
    assert (await desk.use(code)).status_code == 403


async def test_a_link_is_used_although_the_sign_in_failed(desk: Desk) -> None:
    code = desk.console.sessions.links.put("rg_revoked_meanwhile")
    assert (await desk.use(code)).status_code == 403
    assert desk.console.sessions.links.find(code) is None


async def test_the_session_of_a_link_has_a_new_id(desk: Desk) -> None:
    """Who chose the cookie of the browser before does not know the session."""
    before = sign_in(desk.console, desk.browser)
    answer = await desk.use(await desk.code())
    assert "regista=" in answer.headers["set-cookie"]
    assert before not in answer.headers["set-cookie"]
    assert desk.console.sessions.signed_in.find(before) is None


async def test_a_form_of_another_site_uses_no_link(desk: Desk) -> None:
    code = await desk.code()
    elsewhere = {"origin": "https://evil.example"}
    answer = await desk.browser.post("/sign-in/link", data={"code": code}, headers=elsewhere)
    assert answer.status_code == 403
    assert desk.console.sessions.links.find(code) == KEY


async def test_who_is_signed_in_is_asked_before_another_person_is(desk: Desk) -> None:
    assert "data-at-once" in (await desk.browser.get("/sign-in/link")).text
    sign_in(desk.console, desk.browser)
    page = (await desk.browser.get("/sign-in/link")).text
    assert "data-at-once" not in page
    assert "signed in as <b>Ann</b>" in page


async def test_neither_code_nor_key_nor_secret_is_logged_or_shown(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG):
        code = await desk.code()
        answer = await desk.use(code)
        refused = await desk.use(code)
    for one in (code, KEY, SECRET):
        assert one not in caplog.text
        assert one not in answer.text + refused.text + str(answer.headers)
    assert code not in repr(desk.console.sessions.links._entries)
    assert SECRET not in repr(desk.console.settings)


@pytest.mark.parametrize("given", ["", "Bearer ", f"Bearer {KEY}", f"Bearer {SECRET}x", "Bearer é"])
async def test_no_link_is_made_without_the_secret(desk: Desk, given: str) -> None:
    answer = await desk.browser.post(
        "/sign-in/links", json={"key": KEY}, headers={"authorization": given.encode()}
    )
    assert answer.status_code == 403
    assert not desk.console.sessions.links._entries


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 422),
        (b"[]", 422),
        (b'{"key": "no-key"}', 422),
        (b'{"key": "rg_unknown_key"}', 403),
        (b'{"key": "rg_' + b"x" * 3_000 + b'"}', 413),
    ],
)
async def test_a_body_without_a_valid_key_makes_no_link(desk: Desk, body: bytes, status: int) -> None:
    answer = await desk.browser.post("/sign-in/links", content=body, headers=BEARER)
    assert answer.status_code == status
    assert answer.json()["detail"]
    assert not desk.console.sessions.links._entries


async def test_a_console_without_a_secret_has_no_links() -> None:
    console, browser = at(registry)
    async with console.http, browser:
        for given in ("Bearer ", "Bearer"):
            answer = await browser.post("/sign-in/links", json={"key": KEY}, headers={"authorization": given})
            assert answer.status_code in {303, 404, 405}
        assert (await browser.get("/sign-in/link")).status_code == 303


@pytest.mark.parametrize(
    ("url", "secret", "wrong"),
    [
        ("https://regista.example.com", SECRET, "127.0.0.1 only"),
        ("http://127.0.0.1.example.com", SECRET, "127.0.0.1 only"),
        ("", SECRET, "127.0.0.1 only"),
        (URL, "short", "at least 32"),
    ],
)
def test_links_are_for_a_console_on_this_machine_and_a_long_secret(url: str, secret: str, wrong: str) -> None:
    given = {"REGISTA_CONSOLE_URL": url, "REGISTA_CONSOLE_LINK_SECRET": secret}
    with pytest.raises(SettingsWrong, match=wrong) as found:
        ConsoleSettings.from_environment(given)
    assert secret not in str(found.value)
