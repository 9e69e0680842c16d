"""What people meet at work, in a real browser: links, ended sessions, Back, the keyboard, no JavaScript."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from services.local.commands import COMMANDS
from tests.ui.browsers import person
from tests.ui.conftest import Site, csrf, open_review, publish

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(240)]
VERSION = "/models/fraud.scoring/versions/1"
DEEP = "/models?q=fraud&kind=model"
FOCUSED = "() => document.activeElement.id || document.activeElement.textContent.trim()"


def test_a_link_signs_in_once_and_stays_in_no_address(site: Site, browser: Any) -> None:
    made = CliRunner().invoke(COMMANDS["console"], ["--instance", str(site.instance.folder.directory)])
    link = made.output.strip()
    assert link.startswith(f"{site.url}/sign-in/link#"), made.output
    code = link.partition("#")[2]
    page = browser.new_page()
    sent: list[str] = []
    page.on("request", lambda request: sent.append(f"{request.url} {request.headers}"))
    page.goto(link)
    page.wait_for_url(f"{site.url}/")
    page.get_by_text("Administrator").first.wait_for()
    assert not [one for one in sent if code in one]
    page.go_back()
    assert code not in page.url
    other = browser.new_page()
    other.goto(link)
    other.get_by_text("a link signs in once").wait_for()
    assert code not in other.url
    for one in (page, other):
        one.context.close()


def test_what_was_typed_survives_a_session_that_ends_meanwhile(site: Site, browser: Any) -> None:
    page = person(browser, site, "ann")
    page.goto(f"{site.url}{VERSION}")
    page.get_by_text("Add a note").click()
    page.get_by_label("Note").fill("thought about for an hour")
    (cookie,) = (one for one in page.context.cookies() if one["name"] == "regista")
    with site.browser() as same:
        same.cookies.set("regista", cookie["value"], domain="127.0.0.1")
        same.post("/sign-out", data={"csrf": csrf(same.get("/"))})
    page.get_by_role("button", name="Add the note").click()
    page.get_by_text("What you typed is kept").wait_for()
    page.get_by_label("API key").fill(site.keys["ann"])
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"**{VERSION}")
    assert page.get_by_label("Note").input_value() == "thought about for an hour"
    page.get_by_role("button", name="Add the note").click()
    page.get_by_text("is recorded").wait_for()
    page.context.close()


def test_a_review_that_lapses_under_its_reader_is_not_approved_and_keeps_the_comment(
    site: Site, browser: Any, tmp_path: Path
) -> None:
    publish(site, "fraud.lapsing", tmp_path)
    address = f"{site.url}/reviews/{open_review(site, 'fraud.lapsing@1')}"
    page = person(browser, site, "bob")
    page.goto(address)
    page.locator("#live[data-state=on]").wait_for(state="attached")
    approve = page.locator("form[action$='/approve']")
    approve.get_by_label("Comment").fill("read all of it")
    with site.client("admin") as admin:
        admin.edit_model("fraud.lapsing", tier="high")
    page.get_by_text("This changed a moment ago.").wait_for()
    page.get_by_role("button", name="Approve #1 for production").click()
    page.get_by_text("was not done").wait_for()
    page.get_by_text("What you typed", exact=True).click()
    assert page.get_by_text("read all of it").is_visible()
    page.goto(address)
    page.get_by_text("The review is lapsed: there is nothing to decide.").wait_for()
    page.context.close()


def test_back_shows_the_list_as_it_was_filtered(site: Site, browser: Any) -> None:
    page = person(browser, site, "ann")
    page.goto(f"{site.url}/models")
    page.get_by_label("Part of the name").fill("scoring")
    page.get_by_role("button", name="Filter").click()
    page.wait_for_url("**/models?q=scoring*")
    page.get_by_role("link", name="fraud.scoring", exact=True).click()
    page.get_by_role("heading", name="fraud.scoring", exact=True).wait_for()
    page.go_back()
    page.wait_for_url("**/models?q=scoring*")
    page.get_by_role("link", name="Clear").wait_for()
    assert page.get_by_label("Part of the name").input_value() == "scoring"
    assert page.get_by_role("link", name="fraud.hostile", exact=True).count() == 0
    assert page.errors == []
    page.context.close()


def test_a_comment_is_written_and_sent_by_the_keyboard_alone(site: Site, browser: Any) -> None:
    page = person(browser, site, "bob")
    page.goto(f"{site.url}/reviews/{site.review}")
    for wanted in ("Comment", "comment-comment", "Comment"):
        for _ in range(80):
            page.keyboard.press("Tab")
            if page.evaluate(FOCUSED) == wanted:
                break
        else:
            raise AssertionError(f"the focus does not reach {wanted}")
        assert page.evaluate("() => document.activeElement.matches(':focus-visible')")
        if wanted == "comment-comment":
            page.keyboard.type("by keys")
        else:
            page.keyboard.press("Enter")
    page.get_by_text("Your comment is recorded.").wait_for()
    assert page.errors == []
    page.context.close()


def test_without_javascript_a_deep_link_leads_through_the_sign_in_to_pages_that_can_be_read(
    site: Site, browser: Any
) -> None:
    """On a phone, whose menu opens without a script, too."""
    context = browser.new_context(java_script_enabled=False, viewport={"width": 360, "height": 740})
    page = context.new_page()
    page.goto(f"{site.url}{DEEP}")
    page.get_by_label("API key").fill(site.keys["bob"])
    page.get_by_role("button", name="Sign in").click()
    assert page.url == f"{site.url}{DEEP}"
    page.get_by_role("link", name="fraud.scoring", exact=True).click()
    page.get_by_role("link", name="#2").first.click()
    page.get_by_role("heading", name="What you may do").wait_for()
    page.get_by_text("Menu").click()
    page.get_by_role("link", name="Reviews").click()
    page.get_by_role("link", name="fraud.scoring #2").first.click()
    page.get_by_role("button", name="Approve #2 for production").wait_for()
    assert page.get_by_role("heading", name="What is sealed").is_visible()
    context.close()
