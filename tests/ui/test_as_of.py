"""Pages as of a moment: what was so then, without forms and acts, with links that stay at the moment."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import httpx
import pytest

from tests.ui.addresses import THEN, as_of
from tests.ui.conftest import Site, csrf

pytestmark = [pytest.mark.servers, pytest.mark.slow]
MODEL = "/models/fraud.scoring"


@pytest.fixture(scope="module")
def ann(site: Site) -> Iterator[httpx.Client]:
    with site.signed_in("ann") as browser:
        yield browser


def content(page: httpx.Response) -> str:
    """Return what stands between the frame and the end of a page that was found."""
    assert page.status_code == 200, page.text
    return page.text.split('id="content"')[1].split("</main>")[0]


@pytest.mark.parametrize("name", sorted(THEN))
def test_a_page_of_the_past_states_its_moment_and_offers_no_act(
    name: str, site: Site, ann: httpx.Client
) -> None:
    page = ann.get(as_of(THEN[name], site.then))
    assert page.status_code == 200
    assert "return to now" in content(page)
    assert 'method="post"' not in content(page)
    assert 'data-live=""' in page.text
    assert 'id="live"' not in page.text


@pytest.mark.parametrize("name", sorted(THEN))
def test_each_link_of_a_page_of_the_past_leads_to_the_same_moment(
    name: str, site: Site, ann: httpx.Client
) -> None:
    page = ann.get(as_of(THEN[name], site.then))
    assert page.status_code == 200
    links = re.findall(r'<a [^>]*href="(/[^"]*)"[^>]*>([^<]*)', page.text)
    assert links
    now = ("return to now", "Show it as it is now", "as it is now", "as they are now")
    assert [one for one in links if "as_of=" not in one[0] and one[1] not in now] == []


def test_a_model_and_its_first_version_are_shown_as_they_were(site: Site, ann: httpx.Client) -> None:
    model = content(ann.get(as_of(MODEL, site.then)))
    assert f"{MODEL}/versions/1?as_of=" in model
    assert f"{MODEL}/versions/2" not in model
    version = content(ann.get(as_of(f"{MODEL}/versions/1", site.then)))
    assert "Production" in version
    assert "serves <b>100 %</b> in production" in version
    assert "Request promotion" not in version
    rollout = content(ann.get(as_of("/rollouts/fraud.scoring/production", site.then)))
    assert "Bob Example" in rollout
    assert "Eve Example" in rollout


def test_a_review_is_shown_with_what_had_happened_in_it(site: Site, ann: httpx.Client) -> None:
    opened = datetime.now(UTC) - timedelta(seconds=1)
    page = ann.get(as_of(f"/reviews/{site.review}", opened.isoformat()))
    assert "opened a review" in content(page)
    assert 'method="post"' not in content(page)
    before = ann.get(as_of(f"/reviews/{site.review}", site.then))
    assert before.status_code == 404
    assert "was not open yet" in before.text


def test_an_event_is_shown_as_of_a_moment_after_it_and_not_before(site: Site, ann: httpx.Client) -> None:
    events = re.findall(r'href="(/history/events/[^"]+)"', ann.get(f"{MODEL}/timeline").text)
    newest, oldest = (html.unescape(one) for one in (events[0], events[-1]))
    assert 'method="post"' not in content(ann.get(as_of(oldest, site.then)))
    later = ann.get(as_of(newest, site.then))
    assert later.status_code == 404
    assert "was not recorded yet" in later.text


def test_a_slider_leads_to_each_moment_of_a_model(site: Site, ann: httpx.Client) -> None:
    page = content(ann.get(as_of(f"{MODEL}/metrics", site.then)))
    first, last = (re.search(rf'type="range"[^>]* {end}="(\d+)"', page) for end in ("min", "max"))
    assert first
    assert last
    assert int(first[1]) < int(last[1])
    before = re.search(r'rel="prev" href="([^"]+)"', page)
    assert before
    assert f"{MODEL}/metrics?as_of=" in before[1]
    assert "return to now" in content(ann.get(html.unescape(before[1])))
    sent = ann.get(f"{MODEL}/metrics", params={"as_of": last[1]})
    assert sent.status_code == 303
    assert "return to now" in content(ann.get(sent.headers["location"]))


def test_a_version_that_there_was_not_yet_is_not_found_then(site: Site, ann: httpx.Client) -> None:
    page = ann.get(as_of(f"{MODEL}/versions/2", site.then))
    assert page.status_code == 404
    assert "The newest version then was 1." in page.text
    assert f'href="{MODEL}/versions/2">Return to now' in page.text


def test_an_approver_without_other_roles_sees_a_model_as_it_was(site: Site) -> None:
    with site.signed_in("bob") as bob:
        assert "return to now" in content(bob.get(as_of(MODEL, site.then)))
        access = bob.get(as_of("/access", site.then))
        assert access.status_code == 403
        assert "auditor" in access.text


@pytest.mark.parametrize(
    ("path", "moment", "status", "advice"),
    [
        (MODEL, "yesterday", 422, "Write a day such as 2026-03-01"),
        (MODEL, "2999-01-01", 422, "Name an earlier moment"),
        (MODEL, "2020-01-01", 404, "Name one from"),
        ("/rollouts", "2020-01-01", 422, "name a moment from then on"),
        ("/access", "2020-01-01", 422, "name a moment from then on"),
        ("/policies", "2020-01-01", 422, "name a moment from then on"),
        ("/", "2020-01-01", 422, "name a moment from then on"),
        ("/people/person:bob", "2020-01-01", 422, "name a moment from then on"),
    ],
)
def test_a_moment_without_an_answer_is_explained(
    path: str, moment: str, status: int, advice: str, ann: httpx.Client
) -> None:
    page = ann.get(as_of(path, moment))
    assert page.status_code == status
    assert advice in page.text
    assert "Return to now" in page.text


@pytest.mark.parametrize("path", ["/versions", "/cleanup", "/data-sets?q=transactions-1", "/operations"])
def test_a_page_that_is_only_known_now_states_it_and_leads_to_now(
    path: str, site: Site, ann: httpx.Client
) -> None:
    page = content(ann.get(as_of(path, site.then)))
    assert "This page shows only what is so now." in page
    assert f'href="{path}"' in page


def test_a_form_sent_to_a_page_of_the_past_changes_nothing(site: Site) -> None:
    with site.signed_in("ann") as ann:
        form = {"csrf": csrf(ann.get(f"{MODEL}/versions/1")), "act": "note", "text": "sent to the past"}
        answer = ann.post(as_of(f"{MODEL}/versions/1/note", site.then), data=form)
        assert answer.status_code == 422
        assert "A page of the past changes nothing." in answer.text
        assert "sent to the past" not in content(ann.get(f"{MODEL}/versions/1"))
