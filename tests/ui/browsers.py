"""Chromium for the tests of pages, and axe: each is skipped, with what to install, where it is missing."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from services.local import npm
from services.local.folders import LocalError
from tests.ui.conftest import Site

AXE = Path(__file__).parent / "axe"
NAMES = ("chromium", "chromium-browser", "google-chrome")
PICTURES = os.environ.get("REGISTA_SCREENSHOTS", "")
"""The folder in which the walk over all pages leaves a picture of each."""


def chromium() -> str:
    """Return the path of a browser, or skip the test."""
    if found := next(filter(None, map(shutil.which, NAMES)), None):
        return found
    pytest.skip("no browser: apt-get install chromium")


def axe() -> str:
    """Return the source of axe, or skip the test."""
    try:
        return (npm.installed(AXE, "axe-core", timeout=60.0) / "node_modules/axe-core/axe.min.js").read_text(
            "utf-8"
        )
    except LocalError as missing:
        pytest.skip(f"axe-core cannot be fetched: {missing}")


@contextmanager
def running() -> Iterator[Any]:
    """Run one browser."""
    path = chromium()
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - 0.3 s, only where a browser is

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
        )
        yield browser
        browser.close()


def person(browser: Any, site: Site, who: str, **options: Any) -> Any:
    """Return a page in a browser window of this person, signed in by the form."""
    context = browser.new_context(**{"viewport": {"width": 1280, "height": 860}} | options)
    page = context.new_page()
    page.errors = []
    page.on("pageerror", lambda error: page.errors.append(str(error)))
    page.on("console", lambda line: page.errors.append(line.text) if line.type == "error" else None)
    page.goto(f"{site.url}/")
    page.get_by_label("API key").fill(site.keys[who])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{site.url}/")
    return page
