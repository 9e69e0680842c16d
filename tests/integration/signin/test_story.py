"""The story of the demo, played by people in browsers: they sign in with Keycloak, and none holds a key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from regista.client.sync_client import Client
from regista.kept_checkpoints import verify_proof
from tests.integration.sdk.conftest import trained, until
from tests.ui.browsers import running

from .conftest import Office

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(280)]
MODEL = "story.churn"


@dataclass
class People:
    """A browser session for each person. They share nothing but the addresses."""

    office: Office
    browser: Any

    @property
    def console(self) -> str:
        return self.office.instance.urls["console"]

    def open(self, who: str, path: str) -> Any:
        """Open a page in a new session; the sign-in at Keycloak leads back to it."""
        page = self.browser.new_context(accept_downloads=True).new_page()
        page.errors = []
        page.on("pageerror", lambda error: page.errors.append(str(error)))
        page.goto(f"{self.console}{path}")
        page.get_by_role("link", name="Sign in with").click()
        page.locator("#username").fill(who)
        page.locator("#password").fill(self.office.keycloak.password(who))
        page.locator("#kc-login").click()
        page.wait_for_url(f"{self.console}{path}")
        return page


@pytest.fixture(scope="module")
def people(office: Office) -> Iterator[People]:
    with running() as browser:
        yield People(office, browser)


@pytest.fixture
def pipeline(office: Office, tmp_path: Path) -> Iterator[Client]:
    with Client(office.publisher(tmp_path)) as client:
        yield client


def _published(pipeline: Client, folder: Path, number: int) -> None:
    (folder / f"model-{number}.onnx").write_bytes(b"onnx" * number)
    pipeline.publish(
        MODEL, folder / f"model-{number}.onnx", trained(number, 0.9 + number / 100), tier="high"
    ).wait(60)
    until(lambda: pipeline.version(f"{MODEL}@{number}")["stage"] == "Validated")


def _requests(ann: Any, number: int, *, serve: bool) -> None:
    """Ann requests the promotion on the page of the version."""
    ann.get_by_text("Request promotion", exact=True).click()
    request = ann.locator("form[action$='/promote']")
    if serve:
        request.get_by_label("Give it all requests").check()
    request.get_by_label("Why").fill(f"number {number} is better on the holdout")
    request.get_by_role("button", name=f"Request promotion of #{number}").click()
    ann.get_by_text("Promotions", exact=True).wait_for()


def _approves(approver: Any, number: int) -> None:
    """An approver finds the review at home, reads it and approves."""
    approver.get_by_role("link", name="Home").first.click()
    approver.get_by_role("row", name=f"{MODEL} #{number}").get_by_role("link", name="Review it").click()
    approver.get_by_text("is better on the holdout").first.wait_for()
    form = approver.locator("form[action$='/approve']")
    form.get_by_label("Comment").fill("The holdout is the one we agreed on.")
    form.get_by_role("button", name=f"Approve #{number} for production").click()
    approver.get_by_text("You approved.").wait_for()


def _switches(ann: Any, number: int) -> None:
    """Ann previews a change of the rollout, and makes it."""
    ann.get_by_label("Version 1").select_option(str(number))
    ann.get_by_label("Version 2").select_option("")
    ann.get_by_role("button", name="Preview the change").click()
    ann.get_by_label("Why").fill("its shadow traffic was good")
    ann.get_by_role("button", name="Change who serves in production").click()
    ann.get_by_text("its shadow traffic was good").wait_for()


def _rolls_back(ann: Any, to: int) -> None:
    """Ann previews where a rollback goes, and makes it."""
    ann.get_by_role("link", name="Roll back…").click()
    assert ann.get_by_role("listitem").filter(has_text=f"#{to} · ").first.is_visible()
    ann.get_by_label("Why").fill("callers report wrong scores")
    ann.get_by_role("button", name="Roll back in production").click()
    ann.get_by_text("callers report wrong scores").wait_for()


def _takes_home(dan: Any, folder: Path) -> Path:
    """Dan reads who approved the first promotion, and downloads the proof once it is sealed."""
    leaves = dan.get_by_role("link", name="leaf")
    until(lambda: leaves.count() == 2 or (dan.reload() and None))
    first = dan.locator("main tbody tr").last
    for approver in ("Bob Example", "Carol Example"):
        assert approver in first.inner_text()
    with dan.expect_download() as loading:
        first.get_by_role("link", name="leaf").click()
    kept = folder / "proof.json"
    loading.value.save_as(kept)
    return kept


def test_people_without_keys_bring_a_model_to_production_and_back_and_prove_who_decided(
    people: People, pipeline: Client, tmp_path: Path
) -> None:
    _published(pipeline, tmp_path, 1)
    ann = people.open("ann", f"/models/{MODEL}/versions/1")
    bob, carol = people.open("bob", "/"), people.open("carol", "/reviews")
    for number in (1, 2):
        if number > 1:
            _published(pipeline, tmp_path, number)
            ann.goto(f"{people.console}/models/{MODEL}/versions/{number}")
        ann.locator("#live[data-state=on]").wait_for(state="attached")
        _requests(ann, number, serve=number == 1)
        for approver in (bob, carol):
            _approves(approver, number)
        ann.locator("li[aria-current=step]", has_text="Production").wait_for()  # by the stream of changes

    ann.goto(f"{people.console}/rollouts/{MODEL}/production")
    _switches(ann, 2)
    _rolls_back(ann, 1)
    assert [entry["number"] for entry in pipeline.rollout(MODEL)["entries"]] == [1]

    dan = people.open("dan", f"/history?what=promotions&model={MODEL}")
    proof = json.loads(_takes_home(dan, tmp_path).read_bytes())
    assert verify_proof(proof, proof["verifier_key"])["type"] == "VersionPromoted"
    for page in (ann, bob, carol, dan):
        assert page.errors == []
        page.context.close()
