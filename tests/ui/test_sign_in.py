"""Sign-in and sign-out: cookies, deep links, fixation, and what a copied cookie is worth."""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

import pytest

from tests.ui.conftest import Site, csrf

pytestmark = [pytest.mark.servers, pytest.mark.slow]
DEEP = "/models/fraud.scoring?stage=Staging"


def test_a_deep_link_leads_to_the_sign_in_and_back(site: Site) -> None:
    with site.browser() as browser:
        answer = browser.get(DEEP)
        assert answer.status_code == 303
        assert parse_qs(urlsplit(answer.headers["location"]).query)["next"] == [DEEP]
        assert browser.get(answer.headers["location"]).status_code == 200
        back = browser.post("/sign-in", data={"key": site.keys["bob"], "next": DEEP})
        assert (back.status_code, back.headers["location"]) == (303, DEEP)
        assert "fraud.scoring" in browser.get(DEEP).text


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example"])
def test_a_sign_in_never_leads_to_another_site(site: Site, elsewhere: str) -> None:
    with site.browser() as browser:
        answer = browser.post("/sign-in", data={"key": site.keys["bob"], "next": elsewhere})
        assert answer.headers["location"] == "/"


def test_the_cookie_is_hidden_from_scripts_and_from_other_sites(site: Site) -> None:
    with site.browser() as browser:
        cookie = browser.post("/sign-in", data={"key": site.keys["bob"]}).headers["set-cookie"].lower()
    assert "httponly" in cookie
    assert "samesite=lax" in cookie
    assert "path=/" in cookie
    assert site.keys["bob"].lower() not in cookie


def test_a_sign_in_changes_the_id_of_the_session(site: Site) -> None:
    with site.browser() as browser:
        browser.cookies.set("regista", "chosen-by-another", domain="127.0.0.1")
        browser.post("/sign-in", data={"key": site.keys["bob"]})
        first = browser.cookies["regista"]
        browser.post("/sign-in", data={"key": site.keys["eve"]})
        assert len({"chosen-by-another", first, browser.cookies["regista"]}) == 3
    with site.browser() as thief:
        thief.cookies.set("regista", first, domain="127.0.0.1")
        assert thief.get("/").status_code == 303


def test_a_cookie_is_worth_nothing_after_the_sign_out(site: Site) -> None:
    with site.signed_in("bob") as bob:
        cookie = bob.cookies["regista"]
        answer = bob.post("/sign-out", data={"csrf": csrf(bob.get("/"))})
        assert answer.headers["location"] == "/sign-in"
    with site.browser() as thief:
        thief.cookies.set("regista", cookie, domain="127.0.0.1")
        assert thief.get("/models").status_code == 303


def test_a_sign_out_needs_the_token_of_the_session(site: Site) -> None:
    with site.signed_in("bob") as bob:
        bob.post("/sign-out", data={"csrf": "guessed"})
        assert bob.get("/").status_code == 200


@pytest.mark.parametrize("key", ["", "no-key", "rg_aaaaaaaaaaaa_bbbbbbbbbbbbbbbb", "rg_" + "x" * 500, "rg_é"])
def test_a_wrong_key_begins_no_session_and_is_not_shown_again(site: Site, key: str) -> None:
    with site.browser() as browser:
        answer = browser.post("/sign-in", data={"key": key, "next": DEEP})
        assert answer.status_code in {403, 422}
        assert "regista" not in browser.cookies
        assert not key or key not in answer.text.replace("rg_…", "").replace("begins with rg_.", "")


def test_a_sign_in_from_another_site_is_refused(site: Site) -> None:
    with site.browser() as browser:
        answer = browser.post(
            "/sign-in", data={"key": site.keys["bob"]}, headers={"origin": "https://evil.example"}
        )
        assert answer.status_code == 403
        assert not browser.cookies


def test_a_revoked_key_ends_the_session(site: Site) -> None:
    with site.client("admin") as admin:
        made = admin.issue_key("person:eve")
        with site.browser() as eve:
            eve.post("/sign-in", data={"key": made["api_key"]})
            assert eve.get("/models").status_code == 200
            admin.revoke_key("person:eve", made["key_id"], "test")
            assert eve.get("/models").status_code == 303
            assert "regista" not in eve.cookies
