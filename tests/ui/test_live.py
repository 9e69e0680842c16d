"""The stream of changes: what it names, for whom, and when it ends."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event

import httpx
import pytest

from tests.ui.conftest import Site, csrf

pytestmark = [pytest.mark.servers, pytest.mark.slow]


def _changes_until(browser: httpx.Client, opened: Event, wanted: str) -> list[str]:
    """What changed, until it is `wanted`. Changes of earlier tests may come first."""
    found: list[str] = []
    with browser.stream("GET", "/live", timeout=40) as stream:
        for line in stream.iter_lines():
            opened.set()
            if line.startswith("data: "):
                found += line.removeprefix("data: ").split(" ")
            if wanted in found:
                return found
    return found


def test_a_change_names_its_model_and_nothing_else(site: Site) -> None:
    opened = Event()
    with site.client("ann") as ann:
        wanted = f"model:{ann.model('fraud.scoring')['model_id']}"
    with site.signed_in("bob") as bob, ThreadPoolExecutor(1) as thread, site.client("ann") as ann:
        change = thread.submit(_changes_until, bob, opened, wanted)
        assert opened.wait(20)
        for number in range(50):
            ann.add_note("fraud.scoring@1", f"a change {number}")
            if change.done() or Event().wait(0.2):
                break
        topics = change.result(40)
        assert "any" in topics
        assert wanted in topics
        assert not [one for one in topics if one != "any" and not one.startswith(("model:", "review:"))]


def test_without_a_session_there_is_no_stream(site: Site) -> None:
    with site.browser() as browser:
        assert browser.get("/live").status_code == 204


def test_another_site_opens_no_stream(site: Site) -> None:
    with site.signed_in("bob") as bob:
        assert bob.get("/live", headers={"sec-fetch-site": "cross-site"}).status_code == 204


def test_the_stream_ends_with_the_session(site: Site) -> None:
    """What happened before the sign-out may still come; what happens after it does not."""
    with site.signed_in("bob") as bob, bob.stream("GET", "/live", timeout=40) as stream:
        lines = stream.iter_lines()
        assert next(lines).startswith("retry:")
        with site.browser() as same:
            same.cookies.set("regista", bob.cookies["regista"], domain="127.0.0.1")
            same.post("/sign-out", data={"csrf": csrf(same.get("/"))})
        with site.client("ci") as ci:
            later = ci.create_model("fraud.after-the-sign-out")["model_id"]
        assert not [line for line in lines if later in line]
