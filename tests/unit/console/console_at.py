"""A console without services, for tests of its requests."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping
from typing import Any

import httpx

from services.console.console import Console
from services.console.oidc import Issuer, Tokens
from services.console.service import application
from services.console.sessions import Session
from services.console.settings import ConsoleSettings

CALLER: Any = {"subject": "person:ann", "kind": "person", "name": "Ann", "key": {}, "roles": []}
URL = "http://127.0.0.1:1"
ISSUER = Issuer("https://issuer.example", "regista-cli", ("openid",))
Answer = Callable[[httpx.Request], httpx.Response]


class Body(httpx.AsyncByteStream):
    """A body that was not read yet, as one from the network."""

    def __init__(self, content: bytes) -> None:
        self._content = content

    async def __aiter__(self) -> AsyncIterator[bytes]:
        yield self._content


class Net(httpx.AsyncBaseTransport):
    """A network in which `answer` is behind every address."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        await request.aread()
        return as_sent(self._answer(request))


def as_sent(made: httpx.Response) -> httpx.Response:
    """Return the answer with a body that was not read yet."""
    if not isinstance(made.stream, httpx.ByteStream):
        return made
    body = b"".join(made.stream)
    return httpx.Response(made.status_code, headers=made.headers, stream=Body(body))


def at(answer: Answer | httpx.AsyncBaseTransport, **more: Any) -> tuple[Console, httpx.AsyncClient]:
    """Return a console whose services and issuers are `answer`, and a browser. `more` are settings."""
    net = answer if isinstance(answer, httpx.AsyncBaseTransport) else Net(answer)
    urls = {name: f"https://{name}.example" for name in ("registry", "approval", "audit")}
    settings = ConsoleSettings(**{"console_url": URL, "public_urls": urls} | more)
    console = Console(settings, httpx.AsyncClient(transport=net))
    served = httpx.ASGITransport(application(console))
    return console, httpx.AsyncClient(transport=served, base_url=URL, headers={"origin": URL})


def sign_in(console: Console, browser: httpx.AsyncClient, tokens: Tokens | None = None) -> str:
    """Sign Ann in, and return the id in the cookie."""
    id_ = console.sessions.signed_in.put(Session("" if tokens else "rg_key", CALLER, tokens))
    browser.cookies.set(console.cookies.session, id_, domain="127.0.0.1")
    return id_


def document(**more: object) -> Mapping[str, object]:
    """Return the document of the issuer."""
    return {
        "issuer": ISSUER.url,
        "authorization_endpoint": f"{ISSUER.url}/authorize",
        "token_endpoint": f"{ISSUER.url}/token",
        **more,
    }
