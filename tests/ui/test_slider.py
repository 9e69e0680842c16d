"""The slider of a page of the past in a browser: keys and pointer, no full page load; and without script."""

from __future__ import annotations

from typing import Any

import pytest

from tests.ui.addresses import as_of
from tests.ui.browsers import person
from tests.ui.conftest import Site

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(120)]
MODEL = "/models/fraud.scoring"
SHOWN = "document.querySelector('.band b').textContent"


def _moves(page: Any, act: Any) -> str:
    """Return the moment that the page states after an act has moved it."""
    before = page.evaluate(SHOWN)
    act()
    page.wait_for_function(f"before => {SHOWN} !== before", arg=before)
    return str(page.evaluate(SHOWN))


def test_the_arrow_keys_move_a_page_from_moment_to_moment_without_loading_it_again(
    site: Site, browser: Any
) -> None:
    page = person(browser, site, "ann")
    page.goto(f"{site.url}{as_of(MODEL, site.then)}")
    page.evaluate("window.kept = true")
    slider = page.get_by_label("Moments of fraud.scoring")
    slider.focus()
    assert page.locator("main tbody a.version", has_text="#2").count() == 0
    later = _moves(page, lambda: page.keyboard.press("End"))
    assert page.locator("main tbody a.version", has_text="#2").count() == 1
    assert "UTC" in later
    assert _moves(page, lambda: page.keyboard.press("ArrowLeft")) != later
    assert page.evaluate("[window.kept, document.activeElement.id]") == [True, "moment"]
    assert slider.get_attribute("aria-valuetext").endswith("UTC")
    assert "as_of=20" in page.url
    assert page.locator("#moments option").count() > 2
    address = page.url
    box = slider.bounding_box()
    _moves(page, lambda: page.mouse.click(box["x"] + 1, box["y"] + box["height"] / 2))
    page.go_back()
    page.wait_for_url(address)
    assert page.errors == []
    page.context.close()


def test_a_slider_works_as_a_form_without_script(site: Site, browser: Any) -> None:
    page = person(browser, site, "ann", java_script_enabled=False)
    page.goto(f"{site.url}{as_of(f'{MODEL}/metrics', site.then)}")
    page.get_by_label("Moments of fraud.scoring").press("End")
    page.get_by_role("button", name="Show this moment").click()
    assert f"{MODEL}/metrics?as_of=20" in page.url
    assert page.get_by_text("As it was on").count() == 1
    page.context.close()
