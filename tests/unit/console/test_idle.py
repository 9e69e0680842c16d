"""What a page does by itself does not keep a person signed in, and a renewal that began is not lost."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

import httpx
import pytest

from services.console.console import Console
from services.console.live import _frames
from services.console.oidc import Tokens
from tests.unit.console.console_at import ISSUER, as_sent, at, document, sign_in


def services(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"items": []})


def be_idle(console: Console, seconds: float) -> None:
    """Let the person be idle for this time."""
    for entry in console.sessions.signed_in._entries.values():
        entry.used -= seconds


@pytest.mark.parametrize("by_script", [True, False])
async def test_only_a_request_of_the_person_prolongs_the_session(by_script: bool) -> None:
    console, browser = at(services)
    async with console.http, browser:
        sign_in(console, browser)
        be_idle(console, 3_000)
        headers = {"X-Live": "1"} if by_script else {}
        assert (await browser.get("/nothing", headers=headers)).status_code == 404
        be_idle(console, 3_000)
        assert (await browser.get("/nothing")).status_code == (303 if by_script else 404)


async def test_the_stream_neither_prolongs_the_session_nor_replaces_its_tokens() -> None:
    def only_services(request: httpx.Request) -> httpx.Response:
        assert request.url.host != "issuer.example"
        return services(request)

    console, browser = at(only_services)
    async with console.http, browser:
        id_ = sign_in(console, browser, Tokens(ISSUER, "access", "refresh", time.monotonic()))
        be_idle(console, 3_000)
        assert (await browser.get("/live")).status_code == 200
        be_idle(console, 3_000)
        assert console.sessions.signed_in.find(id_) is None


async def test_the_stream_ends_with_the_idle_time() -> None:
    console, browser = at(services)
    async with console.http, browser:
        id_ = sign_in(console, browser)
        session = console.sessions.signed_in.find(id_)
        assert session is not None
        frames = _frames(console, id_, session, {})
        assert (await anext(frames)).startswith("retry:")
        be_idle(console, 3_601)
        assert [frame async for frame in frames] == []


class SlowIssuer(httpx.AsyncBaseTransport):
    """An issuer that waits, with the answer that replaces a token, until `go_on` is set."""

    def __init__(self) -> None:
        self.asked, self.go_on, self.times = asyncio.Event(), asyncio.Event(), 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return as_sent(httpx.Response(200, json=document()))
        self.times += 1
        self.asked.set()
        await self.go_on.wait()
        got = {"access_token": "new", "token_type": "Bearer", "expires_in": 300, "refresh_token": "next"}
        return as_sent(httpx.Response(200, json=got))


async def test_a_change_after_the_end_of_the_session_is_not_named() -> None:
    reading, release = asyncio.Event(), asyncio.Event()

    class Late(httpx.AsyncByteStream):
        async def __aiter__(self) -> AsyncIterator[bytes]:
            reading.set()
            await release.wait()
            yield b'data: {"type": "x", "subject": "models/1"}\n\n'

    console, browser = at(lambda _: httpx.Response(200, stream=Late()))
    async with console.http, browser:
        id_ = sign_in(console, browser)
        session = console.sessions.signed_in.find(id_)
        assert session is not None
        frames = _frames(console, id_, session, {})
        await anext(frames)
        waits = asyncio.create_task(anext(frames, "the end"))
        await reading.wait()
        console.sessions.signed_in.drop(id_)
        release.set()
        assert await waits == "the end"


async def test_a_stream_whose_token_ended_has_the_page_read_again() -> None:
    def refuse(_request: httpx.Request) -> httpx.Response:
        return httpx.Response(401, json={"code": "unauthorized", "title": "The token has ended."})

    console, browser = at(refuse)
    async with console.http, browser:
        sign_in(console, browser, Tokens(ISSUER, "access", "refresh", time.monotonic()))
        assert "event: renew" in (await browser.get("/live")).text


async def test_a_renewal_completes_although_its_request_is_cancelled() -> None:
    issuer = SlowIssuer()
    console, browser = at(issuer)
    async with console.http, browser:
        tokens = Tokens(ISSUER, "old", "once", time.monotonic())
        first = asyncio.create_task(console.issuers.renew(tokens))
        await issuer.asked.wait()
        first.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await first
        issuer.go_on.set()
        await console.issuers.renew(tokens)
        assert (tokens.access, tokens.refresh, issuer.times) == ("new", "next", 1)
