"""The console in a real browser: every page in light, dark and at any width, keys, two approvers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tests.ui.addresses import hostile_addresses, with_own_template
from tests.ui.browsers import PICTURES, axe, person
from tests.ui.conftest import Site, open_review, until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(240)]
IN_README = ("review-light", "version-blocked-light", "model-dark")
WIDE, NARROW, WIDEST = (1280, 860), (360, 740), (2560, 1200)
OVERFLOWS = "document.documentElement.scrollWidth > document.documentElement.clientWidth"
AXE_TAGS = "(tags) => axe.run({resultTypes: ['violations'], runOnly: {type: 'tag', values: tags}})"
AXE_CONTRAST = (
    "() => axe.run({resultTypes: ['violations'], "
    "runOnly: {type: 'rule', values: ['color-contrast', 'link-in-text-block']}})"
)
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"]


def _picture(page: Any, name: str) -> None:
    if PICTURES:
        folder = Path(PICTURES)
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=str(folder / f"{name}.png"), full_page=True)
        if name in IN_README:
            page.screenshot(path=str(folder / f"{name}-top.png"))


def test_every_page_is_accessible_and_fits_the_screen_in_light_and_dark(site: Site, browser: Any) -> None:
    """One walk over all pages, with all rules in light and those of contrast in dark, then at two widths."""
    source, found = axe(), dict[str, Any]()
    ann, bob = person(browser, site, "ann"), person(browser, site, "bob")
    for name, address in with_own_template(site).items():
        page = bob if name == "review" else ann
        page.goto(f"{site.url}{address}")
        _picture(page, f"{name}-light")
        page.evaluate(source)
        wrong = page.evaluate(AXE_TAGS, TAGS)["violations"]
        page.emulate_media(color_scheme="dark")
        _picture(page, f"{name}-dark")
        wrong += page.evaluate(AXE_CONTRAST)["violations"]
        page.emulate_media(color_scheme="light")
        found[name] = [(v["id"], v["nodes"][0]["target"], v["nodes"][0].get("failureSummary")) for v in wrong]
        for width, height in (NARROW, WIDEST):
            page.set_viewport_size({"width": width, "height": height})
            _picture(page, f"{name}-{width}")
            found[name] += [("wide", width, "")] if page.evaluate(OVERFLOWS) else []
        page.set_viewport_size({"width": WIDE[0], "height": WIDE[1]})
    for page in (ann, bob):
        page.context.close()
    assert {name: wrong for name, wrong in found.items() if wrong} == {}


def test_the_pages_to_sign_in_have_no_violation_either(site: Site, browser: Any) -> None:
    source = axe()
    for scheme in ("light", "dark"):
        context = browser.new_context(color_scheme=scheme)
        page = context.new_page()
        for name, address in (("sign-in", "/sign-in"), ("sign-in-link", "/sign-in/link")):
            page.goto(f"{site.url}{address}")
            _picture(page, f"{name}-{scheme}")
            page.evaluate(source)
            assert page.evaluate("() => axe.run()")["violations"] == []
        context.close()


def test_pages_are_reached_by_the_keyboard_alone(site: Site, browser: Any) -> None:
    page = person(browser, site, "bob")
    page.keyboard.press("g")
    page.keyboard.press("m")
    page.wait_for_url(f"{site.url}/models")
    page.keyboard.press("j")
    name = page.evaluate("() => document.activeElement.innerText")
    page.keyboard.press("Enter")
    page.get_by_role("heading", name=name, exact=True).wait_for()
    page.wait_for_load_state()  # a heading is there before the script that listens to keys
    page.keyboard.press("/")
    page.keyboard.type("fraud.scoring@2")
    page.keyboard.press("Enter")
    page.wait_for_url("**/search?q=*")
    page.get_by_role("heading", name="Search for “fraud.scoring@2”", exact=True).wait_for()
    page.wait_for_load_state()
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    page.get_by_role("dialog").wait_for()
    page.keyboard.press("Escape")
    page.go_back()
    page.wait_for_url("**/models/fraud.*")
    assert page.errors == []
    page.context.close()


def test_no_script_of_a_hostile_text_runs(site: Site, browser: Any) -> None:
    page = person(browser, site, "ann")
    opened: list[str] = []
    page.on("dialog", lambda dialog: (opened.append(dialog.message), dialog.dismiss()))
    for address in hostile_addresses():
        page.goto(f"{site.url}{address}")
    assert opened == []
    refused = "Failed to load resource: the server responded with a status of 422"
    assert [error for error in page.errors if not error.startswith(refused)] == []
    page.context.close()


def test_two_approvers_decide_and_each_sees_what_the_other_did(site: Site, browser: Any) -> None:
    """Bob and Eve review the same version at the same time; Eve's page changes when Bob has approved."""
    address = f"{site.url}/reviews/{open_review(site, 'fraud.hostile@1')}"
    bob, eve = person(browser, site, "bob"), person(browser, site, "eve")
    for page in (bob, eve):
        page.goto(address)
    eve.locator("#live[data-state=on]").wait_for(state="attached")
    eve.get_by_label("Conditions, one a line").fill("watch the drift")
    bob.locator("form[action$='/approve']").get_by_label("Comment").fill("Better on the holdout.")
    bob.get_by_role("button", name="Approve #1 for production").click()
    bob.get_by_text("You approved.").wait_for()
    eve.get_by_text("This changed a moment ago.").wait_for()
    assert eve.get_by_label("Conditions, one a line").input_value() == "watch the drift"
    eve.get_by_role("button", name="Approve #1 for production").click()
    eve.get_by_text("was not done").wait_for()
    assert eve.get_by_label("Conditions, one a line").input_value() == "watch the drift"
    eve.get_by_role("button", name="Approve #1 for production").click()
    eve.get_by_text("You approved. It was the last approval").wait_for()
    with site.client("ann") as ann:
        until(lambda: ann.version("fraud.hostile@1")["stage"] == "Production")
    for page in (bob, eve):
        page.context.close()
