"""Roles, keys and groups are changed on their pages, each with a reason, by who may."""

from __future__ import annotations

import re

import pytest

from tests.issuer import running
from tests.ui.conftest import Site, csrf, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]
EVE = "/people/person:eve"
TRUSTS = "/access/trusts"


def test_who_may_not_change_access_reads_which_role_is_missing(site: Site) -> None:
    with site.signed_in("ann") as ann:
        assert "need the role admin" in ann.get("/access").text
        page = ann.get(EVE)
        assert 'action="/people' not in page.text
        assert "need the role admin" in page.text or "admin" in page.text
        form = {"csrf": csrf(page), "act": "grant", "role": "admin", "namespace": "*", "reason": "I want it"}
        answer = ann.post(f"{EVE}/grant", data=form)
        assert answer.status_code == 403


def test_a_role_is_granted_and_taken_back_with_its_reason(site: Site) -> None:
    with site.signed_in("admin") as admin:
        form = {"csrf": csrf(admin.get(EVE)), "role": "engineer", "namespace": "sales.x"}
        granted = admin.post(f"{EVE}/grant", data=form | {"act": "grant", "reason": "covers for Olga"})
        assert granted.status_code == 303, granted.text
        assert "You granted the role engineer in sales.x." in admin.get(EVE).text
        taken = admin.post(f"{EVE}/revoke", data=form | {"act": "revoke-1", "reason": "Olga is back"})
        assert taken.status_code == 303
    with site.client("admin") as client:
        assert not [r for r in client.identity("person:eve")["roles"] if r["namespace"] == "sales.x"]
        me = client.whoami()["subject"]
        assert until(lambda: "Olga is back" in {act["reason"] for act in client.acts(me, limit=20)})
        assert "covers for Olga" in {act["reason"] for act in client.acts(me, limit=20)}


def test_a_refused_grant_gives_its_form_back(site: Site) -> None:
    with site.signed_in("admin") as admin:
        form = {"csrf": csrf(admin.get(EVE)), "act": "grant", "role": "engineer", "namespace": "not a name"}
        answer = admin.post(f"{EVE}/grant", data=form | {"reason": "typed with care"})
        assert answer.status_code in {409, 422}
        assert "typed with care" in answer.text
        assert 'value="not a name"' in answer.text


def test_a_key_is_shown_once_and_revoked(site: Site) -> None:
    page = "/people/publisher:rogue"
    with site.signed_in("admin") as admin:
        form = {
            "csrf": csrf(admin.get(page)),
            "act": "issue-key",
            "key": "one-key",
            "reason": "a new machine",
        }
        shown = admin.post(f"{page}/issue-key", data=form)
        found = re.search(r"<pre>(rg_[^<]+)</pre>", shown.text)
        assert found, shown.text
        assert shown.headers["cache-control"] == "no-store"
        again = admin.post(f"{page}/issue-key", data=form)
        assert found[1] not in again.text
        assert "cannot be shown again" in again.text
        assert found[1] not in admin.get(page).text
        key_id = re.search(r'class="mono">([^<]+)</dd><dt>of', shown.text)
        assert key_id
        revoke = {"csrf": form["csrf"], "act": "revoke-key-1", "key_id": key_id[1], "reason": "it was a test"}
        assert admin.post(f"{page}/revoke-key", data=revoke).status_code == 303
    with site.browser() as browser:
        assert browser.post("/sign-in", data={"key": found[1]}).status_code == 403


def test_a_suspended_person_may_do_nothing_until_enabled(site: Site) -> None:
    page = "/people/person:olga"
    with site.signed_in("olga") as olga, site.signed_in("admin") as admin:
        token = csrf(admin.get(page))
        suspended = {"csrf": token, "act": "suspend", "reason": "left her laptop in a train"}
        assert admin.post(f"{page}/suspend", data=suspended).status_code == 303
        assert olga.get("/models").status_code != 200
        enabled = {"csrf": token, "act": "enable", "reason": "found it"}
        assert admin.post(f"{page}/enable", data=enabled).status_code == 303
    with site.signed_in("olga") as olga:
        assert olga.get("/models").status_code == 200


def test_a_group_gets_a_member(site: Site) -> None:
    with site.signed_in("admin") as admin:
        form = {"csrf": csrf(admin.get("/access")), "act": "create", "kind": "group", "subject": "group:risk"}
        made = admin.post("/access/create", data=form | {"reason": "the risk team"})
        assert made.headers["location"] == "/people/group%3Arisk"
        member = {"csrf": form["csrf"], "act": "add-member", "member": "person:bob", "reason": "joins"}
        assert admin.post("/people/group:risk/add-member", data=member).status_code == 303
        assert "Bob Example" in admin.get("/people/group:risk").text


def test_an_issuer_that_cannot_be_read_is_not_trusted_and_its_form_comes_back(site: Site) -> None:
    with site.signed_in("admin") as admin:
        form = {"csrf": csrf(admin.get("/access/issuers")), "act": "trust", "issuer": "http://127.0.0.1:9/x"}
        answer = admin.post("/access/trust-issuer", data=form | {"reason": "our sign-in"})
        assert answer.status_code == 422
        assert "http://127.0.0.1:9/x" in answer.text
        assert "our sign-in" in answer.text


def test_a_trust_is_added_with_its_reason_and_removed(site: Site) -> None:
    with site.signed_in("admin") as admin, running() as issuer:
        form = {"csrf": csrf(admin.get(TRUSTS)), "act": "add", "issuer": issuer.url, "algorithms": "ES256"}
        form |= {"claims": "repository=acme/fraud\r\nref=refs/heads/main\r\n", "publisher": "publisher:ci"}
        form |= {"namespaces": "fraud.jobs fraud.tests", "reason": "the nightly training moved to CI"}
        added = admin.post(f"{TRUSTS}/add", data=form)
        assert added.status_code == 303, added.text
        page = admin.get(TRUSTS).text
        assert "jobs with its claims act as publisher:ci" in page
        for shown in ("repository=acme/fraud", "ref=refs/heads/main", "fraud.jobs, fraud.tests", issuer.url):
            assert shown in page
        (trust,) = re.findall(r'name="trust_id" value="([^"]+)"', page)
        gone = {"csrf": form["csrf"], "act": "remove-1", "trust_id": trust, "reason": "it moved again"}
        assert admin.post(f"{TRUSTS}/remove", data=gone).status_code == 303
        assert f'value="{trust}"' not in admin.get(TRUSTS).text
    with site.client("admin") as client:
        me = client.whoami()["subject"]
        wanted = {"the nightly training moved to CI", "it moved again"}
        assert until(lambda: wanted <= {act["reason"] for act in client.acts(me, limit=20)})


@pytest.mark.parametrize(
    ("claims", "why"), [("repository", "is no claim"), ("ref=refs/heads/main", "project")]
)
def test_a_trust_that_is_refused_gives_its_form_back(site: Site, claims: str, why: str) -> None:
    with site.signed_in("admin") as admin, running() as issuer:
        form = {"csrf": csrf(admin.get(TRUSTS)), "act": "add", "issuer": issuer.url, "algorithms": "ES256"}
        form |= {"claims": claims, "publisher": "publisher:ci", "namespaces": "fraud", "reason": "typed once"}
        answer = admin.post(f"{TRUSTS}/add", data=form)
        assert answer.status_code in {409, 422}
        assert why in answer.text
        assert f">{claims}</textarea>" in answer.text
        assert "typed once" in answer.text


def test_who_may_not_add_trusts_reads_which_role_is_missing(site: Site) -> None:
    with site.signed_in("ann") as ann, site.signed_in("bob") as bob:
        page = ann.get(TRUSTS)
        assert "you need the role admin" in page.text
        assert f'action="{TRUSTS}' not in page.text
        form = {"csrf": csrf(page), "act": "remove-1", "trust_id": "t-1", "reason": "I want it"}
        assert ann.post(f"{TRUSTS}/remove", data=form).status_code == 403
        assert bob.get(TRUSTS).status_code == 403
