"""A service is unavailable: pages show what they can, and name the service and what to do."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from services.console.console import Console
from services.console.service import application
from services.console.sessions import Session
from services.console.settings import ConsoleSettings
from tests.ui.addresses import addresses
from tests.ui.conftest import Site

pytestmark = [pytest.mark.servers, pytest.mark.slow]
NOWHERE = "http://127.0.0.1:1"
"""Nothing listens there."""
WHOLE = {
    "approval": {"/reviews", "/policies", "/new-policy"},
    "artifact": set[str](),
    "cleanup": {"/cleanup", "/models/fraud.scoring/retention"},
    "audit": set[str](),
}
"""The addresses of pages that show nothing without this service."""
THEN = {
    "audit": {
        "/rollouts",
        "/policies",
        "/policies/default",
        "/access",
        "/access/trusts",
        "/access/links",
        "/access/issuers",
        "/people/person:bob",
    }
}
"""The same for pages as of a moment: audit answers them, the present services do not."""


@pytest.fixture
async def browser_without(site: Site, request: pytest.FixtureRequest) -> AsyncIterator[httpx.AsyncClient]:
    """A browser in which Ann is signed in to a console that cannot reach one service."""
    missing = {request.param: NOWHERE} if request.param else {}
    console = Console(ConsoleSettings(public_urls=site.instance.urls | missing, console_url="http://console"))
    with site.client("ann") as ann:
        caller = ann.whoami()
    id_ = console.sessions.signed_in.put(Session(site.keys["ann"], caller))
    served = httpx.ASGITransport(application(console))
    async with console.http, httpx.AsyncClient(transport=served, base_url="http://console") as browser:
        browser.cookies.set(console.cookies.session, id_)
        yield browser


@pytest.mark.parametrize(
    ("browser_without", "missing"), [(one, one) for one in WHOLE], indirect=["browser_without"]
)
async def test_a_page_shows_the_rest_and_names_what_is_missing(
    site: Site, browser_without: httpx.AsyncClient, missing: str
) -> None:
    for name, address in addresses(site).items():
        page = await browser_without.get(address)
        path = address.partition("?")[0]
        alone = any(path == one or path.startswith(f"{one}/") for one in WHOLE[missing])
        if name.startswith("then-"):
            alone = path in THEN.get(missing, ())
        assert page.status_code == (503 if alone else 404 if name == "missing" else 200), (name, page.text)
        if alone:
            assert f"The service {missing} does not answer" in page.text
            assert "This cannot be shown now" in page.text


@pytest.mark.parametrize("browser_without", ["registry"], indirect=True)
async def test_without_the_registry_every_page_names_it(
    browser_without: httpx.AsyncClient,
) -> None:
    for address in ("/models", "/models/fraud.scoring", "/models/fraud.scoring/versions/2", "/access"):
        page = await browser_without.get(address)
        assert page.status_code == 503
        assert "The service registry does not answer" in page.text
    home = await browser_without.get("/")
    assert home.status_code == 200
    assert "The service registry does not answer" in home.text
