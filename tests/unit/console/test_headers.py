"""The headers and cookies of a console that people reach over TLS."""

from __future__ import annotations

import httpx

from services.console.service import application
from tests.unit.console.console_at import CALLER, at

KEY = "rg_ann_secret"


async def test_over_tls_the_cookie_is_bound_to_the_host_and_to_tls() -> None:
    own = "https://regista.example.com"
    console, _ = at(lambda _request: httpx.Response(200, json=CALLER), console_url=own)
    served = httpx.ASGITransport(application(console))
    async with console.http, httpx.AsyncClient(transport=served, base_url=own) as browser:
        answer = await browser.post("/sign-in", data={"key": KEY}, headers={"origin": own})
    cookie = answer.headers["set-cookie"]
    assert cookie.startswith("__Host-regista=")
    assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} == set(cookie.split("; ")[1:])
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


async def test_a_cookie_is_kept_no_longer_than_the_browser_runs() -> None:
    console, browser = at(lambda _request: httpx.Response(200, json=CALLER))
    async with console.http, browser:
        cookie = (await browser.post("/sign-in", data={"key": KEY})).headers["set-cookie"].lower()
    assert "max-age" not in cookie
    assert "expires" not in cookie
