"""A poisoned data set: its versions are withdrawn and taken out of service in one step with a preview."""

from __future__ import annotations

import re

import pytest

import regista
from tests.ui.conftest import Site, csrf, open_review, until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.usefixtures("poisoned")]
STEP = "/data-sets/withdraw?q=transactions-9"
PLACE = "fraud.poisoned/production"


@pytest.fixture(scope="module")
def poisoned(site: Site, tmp_path_factory: pytest.TempPathFactory) -> None:
    """A model whose first version, trained on other data, served before the bad one."""
    folder = tmp_path_factory.mktemp("poisoned")
    for number, seed in ((1, 8), (2, 9)):
        reference = f"fraud.poisoned@{number}"
        (folder / f"{seed}.onnx").write_bytes(b"onnx" * (900 + seed))
        with site.client("ci") as ci:
            ci.publish("fraud.poisoned", folder / f"{seed}.onnx", _run(seed)).wait(60)
        review = open_review(site, reference, serve=number == 1)
        for who in ("bob", "eve"):
            with site.client(who) as person:
                person.approve(review, "checked", revision=person.review(review)["revision"])
        with site.client("ann") as ann:
            until(lambda reference=reference: ann.version(reference)["stage"] == "Production")
    with site.client("ann") as ann:
        ann.change_rollout("fraud.poisoned", [{"number": 2, "percent": 100, "role": "champion"}])


def _run(seed: int) -> regista.Run:
    run = regista.capture(config={"C": 1.0}, seed=seed)
    run.train_data(f"transactions-{seed}", b"rows" * seed, features=["age"])
    run.test_data("holdout", b"holdout").metric("auc", 0.8 + seed / 100, primary=True)
    run.model_schema = {
        "inputs": [{"name": "age", "type": "float64"}],
        "outputs": [{"name": "score", "type": "float64"}],
    }
    return run


def _hidden(page: str) -> dict[str, str]:
    """Return the hidden fields of the step."""
    form = page.split('action="/data-sets/withdraw', 1)[1]
    return dict(re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', form))


def test_who_may_not_withdraw_reads_which_role_is_missing(site: Site) -> None:
    with site.signed_in("bob") as bob:
        assert "need the role engineer" in bob.get("/data-sets?q=transactions-9").text
        page = bob.get(STEP).text
        assert "the role engineer is missing" in page
        assert "<textarea" not in page


def test_the_preview_names_the_target_and_changes_nothing(site: Site) -> None:
    with site.signed_in("ann") as ann:
        page = ann.get(STEP).text
        assert "withdrawn: no client loads it any more" in page
        assert "roll back: #1 serves 100 %" in page
    with site.client("ann") as client:
        assert client.version("fraud.poisoned@2")["withdrawn"] is None


def test_a_plan_that_has_changed_gives_the_form_back(site: Site) -> None:
    with site.signed_in("ann") as ann:
        form = {
            "csrf": csrf(ann.get(STEP)),
            "act": "withdraw",
            "plan": "sha256:old",
            "reason": "poisoned rows",
        }
        answer = ann.post(STEP, data=form | {f"way/{PLACE}": "stop"})
        assert answer.status_code == 412
        assert "poisoned rows" in answer.text
        assert '<option value="stop" selected>' in answer.text
    with site.client("ann") as client:
        assert client.version("fraud.poisoned@2")["withdrawn"] is None


def test_one_step_withdraws_and_rolls_back(site: Site) -> None:
    with site.signed_in("ann") as ann:
        page = ann.get(STEP)
        form = _hidden(page.text) | {"reason": "poisoned rows", f"way/{PLACE}": "1"}
        answer = ann.post(STEP, data=form)
        assert answer.status_code == 303, answer.text
        after = ann.get(answer.headers["location"]).text
        assert "You withdrew 1 version, and changed who serves in 1 rollout." in after
        assert "Not done" not in after
    with site.client("ann") as client:
        rollout = client.rollout("fraud.poisoned", "production")
    with site.signed_in("ann") as ann:
        again = ann.post(STEP, data=form | {"csrf": csrf(ann.get(STEP))})
        assert again.status_code == 303, again.text
        after = ann.get(again.headers["location"]).text
        assert "All are withdrawn already" in after
        assert "Not done" not in after
    with site.client("ann") as client:
        assert client.rollout("fraud.poisoned", "production")["revision"] == rollout["revision"]
        assert "poisoned rows" in str(client.version("fraud.poisoned@2")["withdrawn"])
        rollout = until(lambda: client.rollout("fraud.poisoned", "production"))
        assert rollout["champion"] == 1
        assert rollout["reason"] == "poisoned rows"
