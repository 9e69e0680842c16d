"""How long versions are kept: a rule is tried out on the use until now before it is set."""

from __future__ import annotations

import re

import pytest

from tests.ui.conftest import Site, csrf

pytestmark = [pytest.mark.servers, pytest.mark.slow]
RULE = "/models/fraud.hostile/retention"
TYPED = {"act": "retention", "unknown": "0s", "draft": "", "grace": "14d", "keep_newest": "0"}


def _seen(page: str) -> str:
    found = re.search(r'name="seen" value="([^"]*)"', page)
    assert found
    return found[1]


def test_who_is_no_engineer_may_not_change_it_and_reads_why(site: Site) -> None:
    with site.signed_in("bob") as bob:
        page = bob.get(RULE).text
    assert "need the role engineer" in page
    assert "Try it" not in page


def test_a_rule_is_set_after_it_was_tried_and_removed_again(site: Site) -> None:
    with site.signed_in("ann") as ann:
        form = TYPED | {"csrf": csrf(ann.get(RULE)), "revision": "0"}
        unseen = ann.post(f"{RULE}/change", data=form | {"reason": "immediately"})
        assert unseen.status_code == 422
        tried = ann.post(f"{RULE}/simulate", data=form)
        assert tried.status_code == 200
        assert "A cleanup run now would mark" in tried.text
        done = ann.post(f"{RULE}/change", data=form | {"seen": _seen(tried.text), "reason": "it is a try"})
        assert done.status_code == 303, done.text
        stale = ann.post(f"{RULE}/change", data=form | {"seen": _seen(tried.text), "reason": "the second"})
        assert stale.status_code == 412
        assert "the second" in stale.text
        assert "changed while you edited" in stale.text
        revision = re.search(r'name="revision" value="(\d+)"', ann.get(RULE).text)
        assert revision
        remove = {"csrf": form["csrf"], "act": "remove", "revision": revision[1], "reason": "it was a try"}
        assert ann.post(f"{RULE}/remove", data=remove).status_code == 303
        assert "no rule of its own yet" in ann.get(RULE).text


def test_a_rule_that_cannot_be_read_comes_back_as_typed(site: Site) -> None:
    with site.signed_in("ann") as ann:
        form = TYPED | {"csrf": csrf(ann.get(RULE)), "revision": "0", "unused": "two weeks"}
        answer = ann.post(f"{RULE}/simulate", data=form)
    assert 'value="two weeks"' in answer.text
    assert "This was not done." in answer.text
    assert "Set how long" not in answer.text
