"""Acts by forms: who may send them, what a refusal keeps, and that a decision is bound to what was read."""

from __future__ import annotations

import pytest

from tests.ui.addresses import hostile_addresses
from tests.ui.conftest import HOSTILE, Site, csrf

pytestmark = [pytest.mark.servers, pytest.mark.slow]
NOTE = "/models/fraud.scoring/versions/1/note"


def test_a_form_without_the_token_is_not_carried_out_and_comes_back_with_its_text(site: Site) -> None:
    with site.signed_in("ann") as ann:
        answer = ann.post(NOTE, data={"act": "note", "text": "typed with care", "csrf": "guessed"})
        assert answer.status_code == 403
        assert "typed with care" in answer.text
    with site.client("ann") as client:
        assert "typed with care" not in str(client.version("fraud.scoring@1")["notes"])


@pytest.mark.parametrize("origin", ["https://evil.example", "null", ""])
def test_a_form_of_another_site_is_not_carried_out_even_with_the_token(site: Site, origin: str) -> None:
    with site.signed_in("ann") as ann:
        token = csrf(ann.get("/models/fraud.scoring/versions/1"))
        answer = ann.post(NOTE, data={"csrf": token, "text": "from elsewhere"}, headers={"origin": origin})
        assert answer.status_code == 403
    with site.client("ann") as client:
        assert "from elsewhere" not in str(client.version("fraud.scoring@1")["notes"])


def test_what_was_typed_survives_the_end_of_the_session(site: Site) -> None:
    with site.signed_in("ann") as ann:
        token = csrf(ann.get("/models/fraud.scoring/versions/1"))
        with site.browser() as same:
            same.cookies.set("regista", ann.cookies["regista"], domain="127.0.0.1")
            same.post("/sign-out", data={"csrf": token})
        answer = ann.post(NOTE, data={"csrf": token, "act": "note", "text": "long and dear"})
        assert answer.status_code == 303
        assert "What you typed is kept" in ann.get(answer.headers["location"]).text
        back = ann.post("/sign-in", data={"key": site.keys["ann"], "next": "/"})
        page = ann.get(back.headers["location"])
        assert "long and dear" in page.text
        assert "nothing was sent" in page.text
        sent = ann.post(NOTE, data={"csrf": csrf(page), "act": "note", "text": "long and dear"})
        assert sent.status_code == 303
    with site.client("ann") as client:
        assert [n["text"] for n in client.version("fraud.scoring@1")["notes"]].count("long and dear") == 1


def test_a_form_of_a_browser_that_was_not_signed_in_is_not_kept(site: Site) -> None:
    with site.browser() as stranger:
        answer = stranger.post(NOTE, data={"act": "note", "text": "of a stranger"})
        assert answer.status_code == 303
        assert not stranger.cookies


def test_a_form_that_is_sent_twice_has_one_effect(site: Site) -> None:
    with site.signed_in("ann") as ann:
        token = csrf(ann.get("/models/fraud.scoring/versions/1"))
        form = {
            "csrf": token,
            "act": "note",
            "text": "only once",
            "key": "0198f0a0-0000-7000-8000-000000000001",
        }
        assert [ann.post(NOTE, data=form).status_code for _ in range(2)] == [303, 303]
    with site.client("ann") as client:
        assert [n["text"] for n in client.version("fraud.scoring@1")["notes"]].count("only once") == 1


def test_a_hostile_text_is_shown_as_text(site: Site) -> None:
    with site.signed_in("ann") as ann:
        token = csrf(ann.get("/models/fraud.scoring/versions/1"))
        ann.post(NOTE, data={"csrf": token, "act": "note", "text": HOSTILE})
        for path in ("/models/fraud.scoring/versions/1", *hostile_addresses()):
            page = ann.get(path).text
            assert "<img src=x" not in page
            assert "<script>alert" not in page
            assert "<svg onload" not in page
            assert 'href="javascript:' not in page
            assert str(98765 * 98765) not in page, "a template of a text was rendered"


def test_an_approval_of_an_earlier_state_is_refused_and_keeps_the_comment(site: Site) -> None:
    with site.signed_in("bob") as bob:
        page = bob.get(f"/reviews/{site.review}")
        form = {"csrf": csrf(page), "act": "approve", "revision": "999", "comment": "I read it all"}
        answer = bob.post(f"/reviews/{site.review}/approve", data=form)
        assert answer.status_code == 412
        assert "I read it all" in answer.text
    with site.client("bob") as client:
        assert client.review(site.review)["approvers"] == []


def test_who_requested_it_cannot_decide_and_reads_why(site: Site) -> None:
    with site.signed_in("ann") as ann:
        page = ann.get(f"/reviews/{site.review}")
        assert f'action="/reviews/{site.review}/approve"' not in page.text
        form = {"csrf": csrf(page), "act": "approve", "revision": "2", "comment": "mine"}
        answer = ann.post(f"/reviews/{site.review}/approve", data=form)
        assert answer.status_code in {403, 409, 412}


def test_a_comment_is_in_the_conversation_and_marked_for_who_looked_before(site: Site) -> None:
    with site.signed_in("eve") as eve, site.signed_in("bob") as bob:
        eve.get(f"/reviews/{site.review}")
        page = bob.get(f"/reviews/{site.review}")
        form = {"csrf": csrf(page), "act": "comment", "comment": "How is it on subgroup B?"}
        assert bob.post(f"/reviews/{site.review}/comment", data=form).status_code == 303
        seen = eve.get(f"/reviews/{site.review}").text
        assert "How is it on subgroup B?" in seen
        assert "new since you looked" in seen
        assert "new since you looked" not in eve.get(f"/reviews/{site.review}").text


def test_every_page_counts_the_reviews_that_wait_for_the_person(site: Site) -> None:
    with site.signed_in("bob") as bob, site.signed_in("ann") as ann:
        assert "wait for you" in bob.get("/models").text
        assert "wait for you" not in ann.get("/models").text


def test_a_change_of_a_rollout_that_does_not_add_up_cannot_be_sent(site: Site) -> None:
    with site.signed_in("ann") as ann:
        page = ann.get("/rollouts/fraud.scoring/production/change?n=1&p=80&r=champion&n=2&p=10&r=challenger")
        assert "add up to 90" in page.text
        assert "<textarea" not in page.text


def test_a_refused_change_of_a_rollout_keeps_its_reason(site: Site) -> None:
    address = "/rollouts/fraud.scoring/production/change?n=1&p=10&r=champion&n=3&p=90&r=challenger"
    with site.signed_in("ann") as ann:
        page = ann.get(address)
        form = {"csrf": csrf(page), "act": "change", "from_number": "1", "reason": "to see what happens"}
        answer = ann.post(address, data=form)
        assert answer.status_code == 409
        assert "to see what happens" in answer.text
