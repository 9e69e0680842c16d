"""One running Regista with people, models and a console, for all tests of pages."""

from __future__ import annotations

import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

import regista
from regista.client.profile import Profile
from regista.client.sync_client import Client
from services.local import lifecycle
from services.local.folders import InstanceFolder
from services.local.instance import Instance
from tests.integration.sdk.conftest import until

PEOPLE = {
    "ann": ("Ann Example", [("engineer", "fraud"), ("auditor", "*")]),
    "bob": ("Bob Example", [("approver", "fraud")]),
    "eve": ("Eve Example", [("approver", "fraud")]),
    "olga": ("Olga Outside", [("engineer", "sales")]),
}
HOSTILE = "<img src=x onerror=alert(1)>\"'--><script>alert(2)</script>{{98765*98765}}"


@dataclass
class Site:
    """A running Regista: its console's address, the API key of each person, and what was published.

    `then` is a moment at which the first version served and there was no second one.
    """

    instance: Instance
    keys: dict[str, str] = field(default_factory=dict)
    review: str = ""
    then: str = ""

    @property
    def url(self) -> str:
        return self.instance.urls["console"]

    def client(self, who: str) -> Client:
        return Client(
            Profile(
                url=self.instance.urls["registry"],
                api_key=self.keys[who],
                cache_dir=str(self.instance.folder.subfolder("client-cache")),
                usage_window=0,
            )
        )

    def browser(self) -> httpx.Client:
        """Return a browser without JavaScript: it keeps cookies and follows no redirect."""
        return httpx.Client(base_url=self.url, headers={"origin": self.url}, timeout=30)

    @contextmanager
    def signed_in(self, who: str) -> Iterator[httpx.Client]:
        """Open a browser in which this person is signed in."""
        with self.browser() as browser:
            answer = browser.post("/sign-in", data={"key": self.keys[who], "next": "/"})
            assert answer.status_code == 303, answer.text
            yield browser


def csrf(page: httpx.Response) -> str:
    """Return the token of the forms of a page."""
    found = re.search(r'name="csrf" value="([^"]+)"', page.text)
    assert found, page.text[:2000]
    return found[1]


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """One browser for the tests of a module: its event loop must have ended before tests that are async."""
    from tests.ui.browsers import running  # noqa: PLC0415 - it imports this module

    with running() as found:
        yield found


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """Versions of fraud.scoring in Production, in review, blocked and incomplete; hostile texts."""
    home = InstanceFolder.named(f"test-{os.getpid()}-ui")
    try:
        made = Site(lifecycle.start(home, 180.0, lifecycle.Progress(output=lambda _: None)))
        made.keys["admin"] = made.instance.identities.admin_key_file.read_text().strip()
        _move_in(made)
        _publish(made, tmp_path_factory.mktemp("models"))
        yield made
    finally:
        lifecycle.stop(home)
        shutil.rmtree(home.directory, ignore_errors=True)


def _move_in(site: Site) -> None:
    with site.client("admin") as admin:
        for who, (name, roles) in PEOPLE.items():
            admin.create_identity(f"person:{who}", "person", name)
            for role, namespace in roles:
                admin.grant(f"person:{who}", role, namespace)
            site.keys[who] = str(admin.issue_key(f"person:{who}")["api_key"])
        for who, name in (("ci", "Training pipeline"), ("rogue", HOSTILE)):
            admin.create_identity(f"publisher:{who}", "publisher", name)
            admin.grant(f"publisher:{who}", "publisher", "*")
            site.keys[who] = str(admin.issue_key(f"publisher:{who}")["api_key"])


def _run(seed: int, auc: float, *, text: str = "") -> regista.Run:
    run = regista.capture(config={"C": 1.0, "note": text or "none"}, seed=seed)
    run.train_data(text or f"transactions-{seed}", b"rows" * seed, features=["age", text or "sum"])
    run.test_data(text or "holdout", b"holdout").metric(text or "auc", auc, primary=True, definition=text)
    unit = {"unit": text} if text else {}
    run.model_schema = {
        "inputs": [{"name": "age", "type": "float64"} | unit, {"name": text or "sum", "type": "float64"}],
        "outputs": [{"name": "score", "type": "float64"} | unit],
    }
    return run


def _hostile_training() -> dict[str, Any]:
    """Every text of a training that a pipeline chooses freely, beside those of its run."""
    code = {"digest": f"sha256:{'c' * 64}", "repository": HOSTILE, "revision": HOSTILE}
    framework = {"name": HOSTILE, "version": HOSTILE}
    return {"code": code, "framework": framework, "environment": {HOSTILE: HOSTILE}}


def _publish(site: Site, folder: Path) -> None:
    (folder / "model.onnx").write_bytes(b"onnx" * 1000)
    hostile = folder / "hostile"
    hostile.mkdir()
    (hostile / "it's &lt;svg onload=alert(3)&gt;.onnx").write_bytes(b"onnx")
    with site.client("ci") as ci:
        first = ci.publish(
            "fraud.scoring",
            folder / "model.onnx",
            _run(1, 0.91),
            description="Scores card payments.",
            tags={"team": "fraud"},
        ).wait(60)
        assert first.number == 1
    _promote(site, "fraud.scoring@1", serve=True)
    site.then = datetime.now(UTC).isoformat().replace("+00:00", "Z")
    with site.client("ci") as ci:
        (folder / "second.onnx").write_bytes(b"onnx" * 1500)
        ci.publish("fraud.scoring", folder / "second.onnx", _run(2, 0.93)).wait(60)
        (folder / "third.onnx").write_bytes(b"onnx" * 1600)
        ci.publish("fraud.scoring", folder / "third.onnx", _run(3, 0.40)).wait(60)
        ci.publish("fraud.scoring", draft=True).wait(60)
        ci.publish("sales.churn", folder / "model.onnx", _run(5, 0.8)).wait(60)
    with site.client("rogue") as rogue:
        rogue.publish(
            "fraud.hostile",
            hostile,
            _run(4, 0.5, text=HOSTILE),
            training=_hostile_training(),
            description=HOSTILE,
            run_url="javascript:alert(4)",
            tags={HOSTILE: HOSTILE},
        ).wait(60)
    site.review = open_review(site, "fraud.scoring@2")


def publish(site: Site, model: str, folder: Path) -> None:
    """Publish a version of a model of its own."""
    (folder / "model.onnx").write_bytes(b"onnx" * 700)
    with site.client("ci") as ci:
        ci.publish(model, folder / "model.onnx", _run(7, 0.9)).wait(60)


def open_review(site: Site, reference: str, *, serve: bool = False) -> str:
    with site.client("ann") as ann:
        until(lambda: ann.version(reference)["stage"] == "Validated")
        promotion = ann.promote(reference, reason="better on the March data", serve=serve)["promotion_id"]
        return str(until(lambda: ann.review(promotion))["review_id"])


def _promote(site: Site, reference: str, *, serve: bool) -> None:
    review = open_review(site, reference, serve=serve)
    for who in ("bob", "eve"):
        with site.client(who) as person:
            person.approve(review, "checked", revision=person.review(review)["revision"])
    with site.client("ann") as ann:
        until(lambda: ann.version(reference)["stage"] == "Production")
