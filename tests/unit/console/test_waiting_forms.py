"""What waits for a sign-in: whose form is kept, for how much memory, and that no one pushes a sign-in out."""

from __future__ import annotations

from datetime import timedelta

import httpx

from services.console.oidc import Begun
from services.console.sessions import MOST_FORM_BYTES, MOST_UNSIGNED, Sessions, Started, Store, Unsigned
from tests.unit.console.console_at import ISSUER, at, document, sign_in

NOTE = "/models/fraud.scoring/versions/1/note"
FORM = {"act": "note", "text": "long and dear"}


def services(request: httpx.Request) -> httpx.Response:
    if request.url.path.endswith("/sign-in"):
        issuer = {"issuer": ISSUER.url, "client_id": ISSUER.client_id, "scopes": list(ISSUER.scopes)}
        return httpx.Response(200, json={"issuers": [issuer]})
    return httpx.Response(200, json=document())


async def test_a_form_of_a_session_that_has_ended_waits_for_the_sign_in() -> None:
    console, browser = at(services)
    async with console.http, browser:
        console.sessions.signed_in.drop(sign_in(console, browser))
        answer = await browser.post(NOTE, data=FORM)
        assert "What you typed is kept" in (await browser.get(answer.headers["location"])).text


async def test_a_form_waits_although_the_script_asked_in_between() -> None:
    console, browser = at(services)
    async with console.http, browser:
        console.sessions.signed_in.drop(sign_in(console, browser))
        assert (await browser.get("/", headers={"X-Live": "1"})).status_code == 303
        await browser.post(NOTE, data=FORM)
        assert console.cookies.unsigned in browser.cookies


async def test_a_form_of_a_stranger_is_not_kept() -> None:
    console, browser = at(services)
    async with console.http, browser:
        browser.cookies.set(console.cookies.session, "guessed", domain="127.0.0.1")
        answer = await browser.post(NOTE, data=FORM)
        assert answer.status_code == 303
        assert console.cookies.unsigned not in browser.cookies
        assert "What you typed is kept" not in (await browser.get(answer.headers["location"])).text


async def test_the_form_comes_back_after_a_sign_in_at_an_issuer_began() -> None:
    console, browser = at(services)
    async with console.http, browser:
        console.sessions.signed_in.drop(sign_in(console, browser))
        await browser.post(NOTE, data=FORM)
        began = await browser.get("/sign-in/at", params={"issuer": ISSUER.url, "next": "/"})
        assert began.headers["location"].startswith(f"{ISSUER.url}/authorize")
        assert "What you typed is kept" in (await browser.get("/sign-in")).text


async def test_a_very_long_address_does_not_wait_for_a_sign_in() -> None:
    console, browser = at(services)
    async with console.http, browser:
        long = {"issuer": ISSUER.url, "next": "/" + "x" * 5_000}
        await browser.get("/sign-in/at", params=long)
        started = console.sessions.started.find(browser.cookies[console.cookies.started])
        assert started is not None
        assert started.path == "/"


def test_forms_do_not_push_out_a_sign_in_that_began() -> None:
    sessions = Sessions.lasting(timedelta(hours=2), timedelta(hours=1))
    id_ = sessions.started.put(Started("/", Begun(ISSUER)))
    for _ in range(MOST_UNSIGNED + 1):
        sessions.unsigned.put(Unsigned("/", {}))
    assert sessions.started.find(id_) is not None


def test_the_forms_that_wait_have_a_limit_in_bytes() -> None:
    sessions = Sessions.lasting(timedelta(hours=2), timedelta(hours=1))
    form = Unsigned("/", {"text": ["x" * 256 * 1024]})
    ids = [sessions.unsigned.put(form, form.size) for _ in range(MOST_FORM_BYTES // form.size + 1)]
    assert sessions.unsigned.find(ids[0]) is None
    assert all(sessions.unsigned.find(id_) for id_ in ids[1:])


def test_a_dropped_content_makes_room() -> None:
    kept: Store[str] = Store(10, timedelta(hours=2), timedelta(hours=1), most_bytes=100)
    first = kept.put("first", 60)
    kept.drop(first)
    second, third = kept.put("second", 50), kept.put("third", 50)
    assert (kept.find(second), kept.find(third)) == ("second", "third")


def test_a_store_has_a_record_of_a_limited_number_of_ended_ids() -> None:
    kept: Store[str] = Store(2, timedelta(hours=2), timedelta(hours=1))
    ids = [kept.put(str(number)) for number in range(4)]
    assert [kept.has_ended(id_) for id_ in ids] == [True, True, False, False]
    kept.drop(ids[2])
    assert [kept.has_ended(id_) for id_ in ids] == [False, True, True, False]
    kept.drop("guessed")
    assert not kept.has_ended("guessed")
