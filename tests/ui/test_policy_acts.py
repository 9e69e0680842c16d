"""Policies are edited with a preview, a reason and a check of the revision; nothing typed is lost."""

from __future__ import annotations

import html
import json
import re

import pytest

from tests.ui.conftest import Site, csrf

pytestmark = [pytest.mark.servers, pytest.mark.slow]
EDIT = "/policies/acts-test/edit"
POLICY = {
    "description": "for sales",
    "applies_to": {"namespaces": ["sales.acts"]},
    "stages": {"Production": [{"kind": "manual", "params": {"approvers": 1}}]},
}


@pytest.fixture
def policy(site: Site) -> int:
    """The revision of a policy that exists."""
    with site.client("admin") as client:
        found = [p for p in client.policies() if p["name"] == "acts-test"]
        if not found:
            return int(client.publish_policy("acts-test", POLICY)["revision"])
        return int(found[0]["revision"])


def _field(page: str, name: str) -> str:
    found = re.search(rf'name="{name}" value="([^"]*)"', page)
    assert found, page
    return html.unescape(found[1])


def _typed(description: str) -> str:
    return json.dumps(POLICY | {"description": description}, indent=2)


@pytest.mark.usefixtures("policy")
def test_who_is_no_admin_may_not_edit_and_reads_why(site: Site) -> None:
    with site.signed_in("ann") as ann:
        page = ann.get(EDIT).text
        assert "need the role admin" in page
        assert "Show what it changes" not in page


def test_a_text_is_published_after_its_effect_was_shown(site: Site, policy: int) -> None:
    with site.signed_in("admin") as admin:
        first = admin.get(EDIT)
        form = {"csrf": csrf(first), "act": "policy", "revision": str(policy), "text": _typed("seen first")}
        unseen = admin.post(f"{EDIT}/publish", data=form | {"reason": "why not"})
        assert unseen.status_code == 422
        assert "What will happen" in unseen.text
        shown = admin.post(f"{EDIT}/preview", data=form)
        assert shown.status_code == 200
        assert "seen first" in shown.text.split("What will happen")[1]
        form |= {"seen": _field(shown.text, "seen"), "reason": "clearer words"}
        done = admin.post(f"{EDIT}/publish", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/policies/acts-test")
        page = admin.get("/policies/acts-test").text
        assert "seen first" in page.split("changed</h2>")[1].split("<h2>")[0]


def test_a_policy_that_changed_meanwhile_gives_the_text_back(site: Site, policy: int) -> None:
    with site.signed_in("admin") as admin:
        form = {
            "csrf": csrf(admin.get(EDIT)),
            "act": "policy",
            "revision": str(policy),
            "text": _typed("mine"),
        }
        shown = admin.post(f"{EDIT}/preview", data=form)
        with site.client("admin") as client:
            theirs = client.publish_policy("acts-test", POLICY | {"description": "theirs"}, expected=policy)
        form |= {"seen": _field(shown.text, "seen"), "reason": "kept reason"}
        answer = admin.post(f"{EDIT}/publish", data=form)
        assert answer.status_code == 412
        assert "&#34;mine&#34;" in answer.text
        assert "kept reason" in answer.text
        assert "was published while you edited" in answer.text
        assert _field(answer.text, "revision") == str(theirs["revision"])


@pytest.mark.usefixtures("policy")
@pytest.mark.parametrize("text", ["{", "[]", '{"stages": {"Nowhere": []}}'])
def test_a_text_that_is_no_policy_comes_back_with_what_is_wrong(site: Site, text: str) -> None:
    with site.signed_in("admin") as admin:
        form = {"csrf": csrf(admin.get(EDIT)), "act": "policy", "text": text}
        answer = admin.post(f"{EDIT}/preview", data=form)
        assert html.escape(text, quote=True).replace("&quot;", "&#34;") in answer.text
        assert "This was not done." in answer.text
        assert "Publish the next revision" not in answer.text


def test_a_new_policy_is_written_on_its_own_page(site: Site) -> None:
    with site.signed_in("admin") as admin:
        page = admin.get("/new-policy?name=acts-new")
        assert "No revision" in page.text or "no revision" in page.text
        text = json.dumps(POLICY | {"applies_to": {"namespaces": ["sales.other"]}})
        form = {"csrf": csrf(page), "act": "policy", "revision": "0", "text": text}
        shown = admin.post("/new-policy/preview?name=acts-new", data=form)
        form |= {"seen": _field(shown.text, "seen"), "reason": "a first one"}
        done = admin.post("/new-policy/publish?name=acts-new", data=form)
        assert (done.status_code, done.headers["location"]) == (303, "/policies/acts-new")
