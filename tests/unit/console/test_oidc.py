"""Issuers: what their answers may be, where they may lead, and who the browser comes back from."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest

from regista.errors import Unauthorized, Unavailable
from services.console.oidc import LONGEST_ANSWER, Begun, Issuer, Issuers, Tokens
from tests.unit.console.console_at import ISSUER, Body, Net, at, document

LOCAL = Issuer("http://127.0.0.1:8080", "regista-cli", ("openid",))


class Endless(httpx.AsyncByteStream):
    """A body without end; `sent` has how many bytes were taken."""

    sent = 0

    async def __aiter__(self) -> AsyncIterator[bytes]:
        while self.sent < 100 * LONGEST_ANSWER:
            self.sent += 64 * 1024
            yield b" " * 64 * 1024


async def address(answer: httpx.Response, issuer: Issuer = ISSUER) -> str:
    async with httpx.AsyncClient(transport=Net(lambda _: answer)) as http:
        return await Issuers(http, "https://console/signed-in").address(Begun(issuer))


async def redeem(**token: Any) -> Tokens:
    def answer(request: httpx.Request) -> httpx.Response:
        return httpx.Response(200, json=document() if request.method == "GET" else token)

    async with httpx.AsyncClient(transport=Net(answer)) as http:
        return await Issuers(http, "https://console/signed-in").redeem(Begun(ISSUER), "code")


async def test_an_answer_is_read_up_to_its_limit_only() -> None:
    body = Endless()
    with pytest.raises(Unavailable):
        await address(httpx.Response(200, stream=body))
    assert body.sent <= LONGEST_ANSWER + 64 * 1024


async def test_an_answer_is_not_unpacked() -> None:
    packed = gzip.compress(b'{"issuer": "' + b"x" * 100 * LONGEST_ANSWER + b'"}')
    headers = {"content-encoding": "gzip"}
    with pytest.raises(Unavailable):
        await address(httpx.Response(200, headers=headers, stream=Body(packed)))


@pytest.mark.parametrize(
    "where",
    [
        "https://[::1",
        "https://",
        "https:///path",
        "https://issuer.example:port/",
        "http://issuer.example/token",
        "javascript:alert(1)",
        "",
        None,
        7,
    ],
)
@pytest.mark.parametrize("name", ["authorization_endpoint", "token_endpoint"])
@pytest.mark.parametrize("issuer", [ISSUER, Issuer("http://issuer.example", "c", ())])
async def test_an_endpoint_that_is_no_https_address_is_refused(
    issuer: Issuer, name: str, where: object
) -> None:
    with pytest.raises(Unavailable):
        await address(httpx.Response(200, json=document(issuer=issuer.url, **{name: where})), issuer)


async def test_an_issuer_elsewhere_has_no_endpoint_on_this_machine_without_tls() -> None:
    with pytest.raises(Unavailable):
        await address(httpx.Response(200, json=document(token_endpoint="http://127.0.0.1:9/token")))


async def test_an_issuer_on_this_machine_needs_no_tls() -> None:
    own = dict.fromkeys(("authorization_endpoint", "token_endpoint"), f"{LOCAL.url}/x")
    found = await address(httpx.Response(200, json=document(issuer=LOCAL.url, **own)), LOCAL)
    assert found.startswith(f"{LOCAL.url}/x?")


@pytest.mark.parametrize("url", ["https://[::1", "https://issuer.example:port", "https://issuer\x00.example"])
async def test_an_issuer_without_a_valid_address_is_unavailable(url: str) -> None:
    with pytest.raises(Unavailable):
        await address(httpx.Response(200, json={}), Issuer(url, "c", ()))


@pytest.mark.parametrize("body", [b"[" * 100_000, b'"\xff"', b"[]", b"", b"<html>"])
async def test_a_document_that_is_no_object_is_unavailable(body: bytes) -> None:
    with pytest.raises(Unavailable):
        await address(httpx.Response(200, content=body))


@pytest.mark.parametrize("lasts", [pytest.param(10**400, id="huge"), -1, 1e300, True, None, "300"])
async def test_a_token_of_any_stated_time_is_taken(lasts: object) -> None:
    assert (await redeem(access_token="a.b.c", token_type="Bearer", expires_in=lasts)).access == "a.b.c"


@pytest.mark.parametrize("access", ["a\r\nx: y", "é", "", 7])
async def test_a_text_that_is_no_token_begins_no_session(access: object) -> None:
    with pytest.raises(Unauthorized):
        await redeem(access_token=access, token_type="Bearer", expires_in=300)


@pytest.mark.parametrize(
    ("announced", "iss", "let_on"),
    [
        (True, None, False),
        (True, ISSUER.url, True),
        (True, "https://evil.example", False),
        (False, None, True),
        (False, ISSUER.url, True),
        (False, "https://evil.example", False),
    ],
)
async def test_an_issuer_that_names_itself_has_to_do_so(
    announced: bool, iss: str | None, let_on: bool
) -> None:
    redeemed: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path.endswith("/sign-in"):
            issuer = {"issuer": ISSUER.url, "client_id": ISSUER.client_id, "scopes": list(ISSUER.scopes)}
            return httpx.Response(200, json={"issuers": [issuer]})
        if request.url.path == "/token":
            redeemed.append(request)
            return httpx.Response(400, json={"error": "invalid_grant"})
        return httpx.Response(200, json=document(authorization_response_iss_parameter_supported=announced))

    console, browser = at(answer)
    async with console.http, browser:
        began = await browser.get("/sign-in/at", params={"issuer": ISSUER.url})
        state = httpx.URL(began.headers["location"]).params["state"]
        back = {"state": state, "code": "code"} | ({"iss": iss} if iss else {})
        assert (await browser.get("/signed-in", params=back)).status_code == 403
    assert bool(redeemed) is let_on


async def test_an_issuer_is_sent_no_nonce_because_no_id_token_is_read() -> None:
    assert "nonce" not in httpx.URL(await address(httpx.Response(200, json=document()))).params
