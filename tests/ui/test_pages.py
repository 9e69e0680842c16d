"""Every page on real services, without a browser: markup, headers, hostile texts, rights."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest

from regista.errors import Forbidden
from tests.integration.sdk.conftest import until
from tests.ui.addresses import FIXED, THEN, addresses
from tests.ui.conftest import Site

pytestmark = [pytest.mark.servers, pytest.mark.slow]
VOID = {"meta", "link", "input", "br", "hr", "img"}
PAGES = sorted([*FIXED, *THEN, "review"])


class Markup(HTMLParser):
    """What a page consists of: elements with their attributes, and ids."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.wrong: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: Any) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        if not self.open or self.open.pop() != tag:
            self.wrong.append(f"</{tag}> at {self.getpos()}")


@pytest.fixture(scope="module")
def ann(site: Site) -> Iterator[httpx.Client]:
    with site.signed_in("ann") as browser:
        yield browser


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_well_formed_small_and_names_its_subject_and_its_command(
    name: str, site: Site, ann: httpx.Client
) -> None:
    answer = ann.get(addresses(site)[name])
    assert answer.status_code == (404 if name == "missing" else 200), answer.text[-3000:]
    page = Markup(answer.text)
    assert not page.wrong
    ids = [a["id"] for _, a in page.elements if "id" in a]
    assert len(ids) == len(set(ids))
    assert [tag for tag, _ in page.elements].count("h1") == 1
    assert len(answer.content) < 150_000


@pytest.mark.parametrize("name", PAGES)
def test_a_page_has_no_inline_script_no_inline_style_and_nothing_from_elsewhere(
    name: str, site: Site, ann: httpx.Client
) -> None:
    answer = ann.get(addresses(site)[name])
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    for tag, attributes in Markup(answer.text).elements:
        assert "style" not in attributes
        assert tag not in {"style", "iframe", "object", "img"}
        assert not [one for one in attributes if one.startswith("on")]
        if tag == "script":
            assert attributes["src"].startswith("/")  # type: ignore[union-attr]
        for name_ in ("href", "src", "action", "formaction"):
            assert (attributes.get(name_) or "/").startswith(("/", "#", "?")), attributes


@pytest.mark.parametrize(
    "path", ["/models/sales.churn", "/models/sales.churn/versions/1", "/rollouts/sales.churn/production"]
)
def test_a_model_of_another_namespace_is_answered_like_one_that_does_not_exist(site: Site, path: str) -> None:
    with site.signed_in("bob") as bob:
        hidden, missing = bob.get(path), bob.get(path.replace("sales.churn", "sales.never"))
    assert hidden.status_code == missing.status_code == 404
    assert (
        hidden.text.replace("sales.churn", "sales.never").split('id="content"')[1].split("<form")[0]
        == (missing.text.split('id="content"')[1].split("<form")[0])
    )


def test_a_review_of_another_namespace_does_not_exist(site: Site) -> None:
    with site.signed_in("olga") as olga:
        assert olga.get(f"/reviews/{site.review}").status_code == 404
        assert "fraud" not in olga.get("/reviews?state=all").text.split('id="content"')[1]
        assert "fraud.scoring" not in olga.get("/models").text


def test_files_are_kept_by_browsers_and_packages_are_named_with_their_digest(
    site: Site, ann: httpx.Client
) -> None:
    page = Markup(ann.get("/").text)
    files = [a.get("src") or a.get("href") for t, a in page.elements if t in {"script", "link"}]
    assert files
    for file in files:
        answer = ann.get(str(file))
        assert answer.status_code == 200
        assert "immutable" in answer.headers["cache-control"]
    assert all("integrity" in a for t, a in page.elements if t == "script" and "/packages/" in str(a["src"]))


@pytest.mark.parametrize("who", ["ann", "bob", "admin"])
def test_the_navigation_leads_to_pages_that_the_person_may_see(site: Site, who: str) -> None:
    with site.signed_in(who) as browser:
        entries = re.findall(r'<li><a href="([^"]+)" data-go="', browser.get("/").text)
        pages = {path: browser.get(path) for path in entries}
    assert len(entries) > 6
    assert ("/access" in entries, "/history" in entries) == ((False, False) if who == "bob" else (True, True))
    assert [path for path, page in pages.items() if page.status_code != 200] == []


def test_a_part_that_a_role_does_not_cover_names_the_role_that_is_missing(site: Site) -> None:
    with site.signed_in("bob") as bob:
        page = bob.get("/models/fraud.scoring/timeline")
    assert page.status_code == 200
    assert "Bob Example needs the role" in page.text
    assert "auditor" in page.text


def test_what_a_rule_denied_is_listed_with_who_tried_it(site: Site, ann: httpx.Client) -> None:
    with site.client("bob") as bob, pytest.raises(Forbidden):
        bob.promote("fraud.scoring@2", reason="it is better")
    page = until(lambda: "role_missing" in (found := ann.get("/history?what=attempts")).text and found)
    assert page.status_code == 200
    assert "Bob Example" in page.text.split("<main")[1]


def test_a_proof_is_downloaded_with_its_log_checkpoint(site: Site, ann: httpx.Client) -> None:
    answer = ann.get("/history/proofs/0")
    assert answer.status_code == 200
    assert answer.headers["content-disposition"] == 'attachment; filename="proof-of-leaf-0.json"'
    assert {"verifier_key", "log_checkpoint", "inclusion"} <= set(answer.json())
