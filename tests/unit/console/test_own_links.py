"""Links to the page itself stay in the console, whatever the address of the page is."""

from __future__ import annotations

import re
from pathlib import Path

import httpx
import pytest
from starlette.requests import Request

from regista.errors import RegistaError
from services.console.rendering import FOLDER
from services.console.sessions import Session
from services.console.view import Shown, View
from tests.unit.console.console_at import CALLER, URL, at, sign_in


def services(request: httpx.Request) -> httpx.Response:
    return httpx.Response(200, json={"items": []})


def view(path: str, query: str = "") -> View:
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": query.encode(),
        "headers": [(b"host", b"console")],
        "scheme": "http",
        "server": ("console", 80),
    }
    console, _ = at(services)
    return View(Request(scope), Session("rg_key", CALLER), console.calls())


@pytest.mark.parametrize(
    "path", ["//evil.example/x", "///evil.example", "//evil.example/x?y=1", "/\\evil.example"]
)
async def test_the_page_of_an_error_never_leads_to_another_site(path: str) -> None:
    console, browser = at(services)
    async with console.http, browser:
        sign_in(console, browser)
        page = await browser.get(f"{URL}{path}")
        assert page.status_code == 404
        assert not [href for href in re.findall(r'href="([^"]*)"', page.text) if re.match(r"[/\\]{2}", href)]


def test_a_page_of_the_past_never_leads_to_another_site() -> None:
    console, _ = at(services)
    error = RegistaError("not_found", "There is nothing.")
    shown = Shown("error.html", "x", "", {"error": error, "server_fault": False})
    seen = view("//evil.example/x", "q=a&as_of=2026-11-30T00:00:00Z")
    seen.as_of = "2026-11-30T00:00:00Z"
    page = bytes(console.shown(seen, shown).body).decode()
    assert "return to now" in page
    assert "evil.example" not in page


def test_a_list_never_leads_to_another_site() -> None:
    console, _ = at(services)
    source = '{% import "parts.html" as parts with context %}{{ parts.pager("3") }}'
    seen = view("//evil.example/x", "page=2&q=a")
    text = console.templates.from_string(source).render(view=seen, names={}, session=seen.session)
    assert re.findall(r'href="([^"]*)"', text) == ["?q=a", "?q=a&amp;page=3"]


def test_a_link_to_the_page_itself_has_its_query() -> None:
    assert view("/models", "q=a&page=2").here == "/models?q=a&page=2"
    assert view("/models").here == "/models"
    assert view("//evil.example", "q=a").here == "/"


@pytest.mark.parametrize("template", sorted((FOLDER / "templates").glob("*.html")), ids=lambda p: p.name)
def test_no_template_links_to_the_path_of_a_request(template: Path) -> None:
    assert not re.search(r"request\.url\S*\.path(?! ==)", template.read_text("utf-8"))
