"""What probes and scrapers read of the console, and that a failure has the headers of every answer."""

from __future__ import annotations

import httpx
from prometheus_client import REGISTRY

from services.console.service import application
from tests.unit.console.console_at import URL, at, sign_in


def nothing(_request: httpx.Request) -> httpx.Response:
    return httpx.Response(503, json={})


def counted(route: str, status: int) -> float:
    labels = {"method": "GET", "route": route, "status": str(status)}
    return REGISTRY.get_sample_value("regista_http_seconds_count", labels) or 0.0


async def test_a_request_is_counted_by_its_route_and_not_by_its_path() -> None:
    console, browser = at(nothing)
    before = counted("/models/{model}", 303)
    async with console.http, browser:
        for name in ("fraud.scoring", "fraud.other"):
            await browser.get(f"/models/{name}")
        exposed = (await browser.get("/metrics")).text
    assert counted("/models/{model}", 303) == before + 2
    assert "fraud.scoring" not in exposed


async def test_addresses_without_a_page_are_counted_together() -> None:
    console, browser = at(nothing)
    before = counted("unknown", 303)
    async with console.http, browser:
        for address in ("/a-guess", "/another/guess"):
            await browser.get(address)
    assert counted("unknown", 303) == before + 2


async def test_the_console_is_ready_while_services_are_unavailable_and_names_the_registry() -> None:
    console, browser = at(nothing)
    async with console.http, browser:
        answer = await browser.get("/readyz")
        alive = (await browser.get("/healthz")).json()
    assert answer.status_code == 200
    assert (answer.json()["ready"], answer.json()["service"]) == (True, "console")
    assert set(answer.json()["reasons"]) == {"registry"}
    assert alive == {"alive": True, "service": "console"}


async def test_the_answer_to_a_failure_has_the_headers_of_every_answer() -> None:
    console, _ = at(lambda _request: httpx.Response(200, json=["no list of policies"]))
    served = httpx.ASGITransport(application(console), raise_app_exceptions=False)
    async with console.http, httpx.AsyncClient(transport=served, base_url=URL) as browser:
        sign_in(console, browser)
        answer = await browser.get("/policies")
    assert answer.status_code == 500
    assert "The console failed" in answer.text
    assert "default-src 'none'" in answer.headers["content-security-policy"]
    assert answer.headers["cache-control"] == "no-store"
