"""A page that changes under its reader takes neither the focus, nor a click, nor the page that follows."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from tests.ui.browsers import person
from tests.ui.conftest import Site

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(240)]
HELD = """() => {
  const fetch = window.fetch;
  window.fetch = async (address, options) => {
    const answer = await fetch(address, options);
    if (!options?.headers?.["X-Live"]) return answer;
    const text = await answer.text();
    return { ok: answer.ok, text: () => new Promise((resolve) => { window.letGo = () => resolve(text); }) };
  };
}"""
"""The text of a refreshed page arrives when the test calls letGo()."""


@pytest.fixture
def page(site: Site, browser: Any) -> Iterator[Any]:
    """The list of models, which follows changes."""
    found = person(browser, site, "bob")
    found.goto(f"{site.url}/models")
    found.locator("#live[data-state=on]").wait_for(state="attached")
    yield found
    assert found.errors == []
    found.context.close()


def _change(site: Site, what: str) -> None:
    with site.client("admin") as admin:
        admin.edit_model("fraud.scoring", description=f"changed under its reader: {what}")


def _heading(page: Any) -> Any:
    return page.get_by_role("heading", name="fraud.hostile", exact=True)


def test_the_focus_stays_where_the_reader_put_it(site: Site, page: Any) -> None:
    page.keyboard.press("j")
    name = page.evaluate("() => { window.before = document.activeElement; return window.before.innerText; }")
    _change(site, "focus")
    page.wait_for_function("() => !window.before.isConnected")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=name, exact=True).wait_for()


def test_a_click_that_has_begun_is_not_lost(site: Site, page: Any) -> None:
    page.evaluate(HELD)
    _change(site, "click")
    page.wait_for_function("() => window.letGo")
    page.get_by_role("link", name="fraud.hostile", exact=True).first.hover()
    page.mouse.down()
    page.evaluate("() => { window.letGo(); return new Promise((resolve) => setTimeout(resolve)); }")
    page.mouse.up()
    _heading(page).wait_for()


def test_a_late_answer_does_not_replace_the_page_that_followed(site: Site, page: Any) -> None:
    page.evaluate(HELD)
    _change(site, "late")
    page.wait_for_function("() => window.letGo")
    page.get_by_role("link", name="fraud.hostile", exact=True).first.click()
    _heading(page).wait_for()
    shown = page.locator("#content").inner_text()
    page.evaluate("() => { window.letGo(); return new Promise((resolve) => setTimeout(resolve)); }")
    assert page.locator("#content").inner_text() == shown
