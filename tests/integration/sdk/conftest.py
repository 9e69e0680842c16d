"""A publisher's profile on the real servers; and a whole Regista with people in it."""

from __future__ import annotations

import json
import os
import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

import regista
from regista.cli import root
from regista.client.profile import Profile
from regista.client.sync_client import Client
from regista.errors import NotFound
from regista.publishing.tracking import Run
from regista.wire.keys import SigningKey, generate_signing_key
from services.local import lifecycle
from services.local.folders import InstanceFolder
from services.local.instance import Instance
from services.local.stack import Stack


@pytest.fixture
def signing_key(tmp_path: Path) -> SigningKey:
    key = generate_signing_key("publisher:nightly")
    key.save(tmp_path / "key.json")
    return key


@pytest.fixture
def publisher(stack: Stack, signing_key: SigningKey, tmp_path: Path) -> Profile:
    return Profile(
        url="http://127.0.0.1:9",
        key_file=str(tmp_path / "key.json"),
        cache_dir=str(tmp_path / "cache"),
        usage_window=0,
        kafka_bootstrap=stack.kafka.bootstrap,
        kafka_user="pipeline",
        kafka_password=stack.kafka.password("pipeline"),
        kafka_security="SASL_PLAINTEXT",
    )


PAUSE = threading.Event()  # between two looks: the services need the processors


@dataclass
class House:
    """A running Regista with people in it."""

    instance: Instance
    folder: Path
    people: dict[str, Profile] = field(default_factory=dict)

    def client(self, who: str) -> Client:
        return Client(self.people[who])

    def run(self, who: str, *words: str) -> Any:
        """The command line as this person; its JSON."""
        code, found, errors = self.command(who, *words)
        assert code == 0, (words, found, errors)
        return found

    def command(self, who: str, *words: str) -> tuple[int, Any, str]:
        """Exit code, JSON and errors of a command. An error that it does not handle is raised."""
        profile = self.people[who]
        environment = {
            "REGISTA_URL": profile.url,
            "REGISTA_API_KEY": profile.api_key,
            "REGISTA_CONFIG": "/nowhere",
            "REGISTA_CACHE_DIR": profile.cache_dir,
        }
        result = CliRunner().invoke(root, [*words, "--json"], env=environment)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result.exit_code, json.loads(result.stdout or "null"), result.stderr


def until(look: Callable[[], Any], seconds: float = 60.0) -> Any:
    """Waits for the services: what `look` answers once it answers something. NotFound counts as not yet."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            if found := look():
                return found
        except NotFound:
            pass
        assert not PAUSE.wait(0.05), "the event is never set"
        assert time.monotonic() < deadline, "it never happened"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    home = InstanceFolder.named(f"test-{os.getpid()}-sdk")
    try:
        instance = lifecycle.start(home, 180.0, lifecycle.Progress(output=lambda _: None))
        found = House(instance, folder)
        admin = Profile(
            url=instance.urls["registry"],
            api_key=instance.identities.admin_key_file.read_text().strip(),
            cache_dir=str(folder / "cache"),
            usage_window=0,
        )
        found.people["admin"] = admin
        _move_in(found, admin)
        yield found
    finally:
        lifecycle.stop(home)
        shutil.rmtree(home.directory, ignore_errors=True)


def _move_in(house: House, admin: Profile) -> None:
    people = {
        "nightly": ("publisher", ["publisher"]),
        "ci": ("publisher", ["publisher"]),
        "eng": ("person", ["engineer", "auditor"]),
        "bob": ("person", ["approver"]),
        "eve": ("person", ["approver"]),
    }
    for name, (kind, roles) in people.items():
        subject = f"{kind}:{name}"
        house.run("admin", "access", "identity", "create", subject, "--kind", kind, "--name", name.title())
        for role in roles:
            house.run("admin", "access", "grant", subject, role, "--everywhere")
        key = house.run("admin", "access", "key", "issue", subject)["api_key"]
        house.people[name] = replace(admin, api_key=key)
    file = house.folder / "nightly.key.json"
    house.run("admin", "access", "key", "issue", "publisher:nightly", "--signing", "--out", str(file))
    kafka = house.instance.stack.kafka
    house.people["nightly"] = replace(
        house.people["nightly"],
        key_file=str(file),
        usage_window=3600,
        kafka_bootstrap=kafka.bootstrap,
        kafka_user="pipeline",
        kafka_password=kafka.password("pipeline"),
        kafka_security="SASL_PLAINTEXT",
    )


def trained(seed: int = 1, auc: float = 0.9) -> Run:
    """A run whose data depend on the seed."""
    run = regista.capture(config={"C": 1.0}, seed=seed)
    run.train_data("bank", b"rows" * seed, features=["age", "sum"])
    run.test_data("holdout", b"holdout").metric("auc", auc, primary=True)
    run.model_schema = {
        "inputs": [{"name": "age", "type": "float64"}, {"name": "sum", "type": "float64"}],
        "outputs": [{"name": "output", "type": "int64"}],
    }
    return run


@pytest.fixture(scope="module")
def churn(house: House) -> dict[str, Any]:
    """crm.churn: version 1 is published on Kafka and brought to Production by two approvers."""
    folder = house.folder / "churn"
    (folder / "labels").mkdir(parents=True)
    (folder / "model.onnx").write_bytes(b"onnx" * 100_000)
    (folder / "labels" / "names é.txt").write_text("stays\nleaves")
    with house.client("nightly") as nightly:
        version = nightly.publish("crm.churn", folder, trained(), tags={"team": "crm"}, tier="high").wait(60)
    assert (version.number, version.semver, version.new) == (1, "1.0.0", True)
    _promote(house, "crm.churn@1", "bob", "eve")
    return {"folder": folder}


def _promote(house: House, reference: str, *approvers: str) -> None:
    with house.client("eng") as eng:
        until(lambda: eng.version(reference)["stage"] == "Validated")
        promotion = eng.promote(reference, reason="better", serve=reference.endswith("@1"))["promotion_id"]
        review = until(lambda: eng.review(promotion))["review_id"]
        for approver in approvers:
            seen = str(eng.review(review)["revision"])
            house.run(
                approver,
                "approve",
                review,
                "--revision",
                seen,
                "--comment",
                "checked",
                "--condition",
                "watch the drift",
            )
        until(lambda: eng.version(reference)["stage"] == "Production")
