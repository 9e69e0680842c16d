"""Every command of the runbook runs, in its order, against a running Regista in which its examples exist."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from confluent_kafka import Producer
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

import regista
from regista.client.profile import Profile
from regista.publishing.tracking import Run
from services.local import lifecycle
from services.local.folders import InstanceFolder
from services.local.kafka import SECURITY
from services.local.status import gather
from tests.integration.sdk.conftest import House, _move_in, _promote, until

pytestmark = [pytest.mark.servers, pytest.mark.slow]

PAGE = (Path(__file__).parents[3] / "docs" / "runbook.md").read_text("utf-8")
BLOCK = re.compile(
    r"^(?:## (?P<title>[^\n]+)|```console(?: as=(?P<who>\w+))?\n(?P<text>.*?)^```)", re.DOTALL | re.MULTILINE
)
PROGRAMS = ("curl", "psql", "openssl", "du", "mv")
"""Programs of the page besides `regista`."""


@dataclass(frozen=True)
class Block:
    """The commands of one fenced block, and who runs them."""

    title: str
    who: str
    commands: tuple[str, ...]


def blocks() -> list[Block]:
    found, title = list[Block](), ""
    for match in BLOCK.finditer(PAGE):
        title = match["title"] or title
        if match["text"]:
            commands = tuple(re.findall(r"^\$ (.+)$", match["text"], re.MULTILINE))
            found.append(Block(title, match["who"] or "", commands))
    return found


@dataclass
class Night:
    """The Regista of the page, the examples in it, and what the commands printed."""

    house: House
    folder: InstanceFolder
    at: Path
    printed: str = ""
    values: dict[str, Callable[[Night], str]] = field(default_factory=dict)

    def run(self, who: str, command: str) -> None:
        """Run a command as that person would, in a shell. It must succeed."""
        for name, value in self.values.items():
            if name in command:
                command = re.sub(rf"\b{name}\b", value(self), command)
        profile = self.house.people[who]
        own = {
            "REGISTA_URL": profile.url,
            "REGISTA_API_KEY": profile.api_key,
            "REGISTA_CONFIG": "/nowhere",
            "REGISTA_CACHE_DIR": profile.cache_dir,
            "REGISTA_INSTANCE": str(self.folder.directory),
            "SERVICE_URL": self.house.instance.urls["approval"],
            "OWNER_URL": self.house.instance.stack.owner_url(),
            "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        }
        done = subprocess.run(
            ["bash", "-o", "pipefail", "-c", command],
            env=os.environ | own,
            cwd=self.at,
            capture_output=True,
            text=True,
            timeout=240,
            check=False,
        )
        self.printed = done.stdout + done.stderr
        assert done.returncode == 0, f"{command}\n{self.printed}"


def trained(data: str, version: int) -> Run:
    run = regista.capture(config={"C": 1.0}, seed=version)
    run.train_data(data, f"{data} {version}".encode(), features=["age", "sum"])
    run.test_data("holdout", b"holdout").metric("auc", 0.9, primary=True)
    columns = [{"name": name, "type": "float64"} for name in ("age", "sum")]
    run.model_schema = {"inputs": columns, "outputs": [{"name": "output", "type": "int64"}]}
    return run


def publish_and_promote(house: House, model: str, data: str, version: int) -> None:
    folder = house.folder / f"{model}-{version}"
    folder.mkdir()
    (folder / "model.onnx").write_bytes(f"{model} {version}".encode() * 100)
    with house.client("nightly") as nightly:
        nightly.publish(model, folder, trained(data, version)).wait(60)
    _promote(house, f"{model}@{version}", "bob", "eve")
    if version > 1:  # the first serves by its promotion
        house.run("eng", "rollout", "switch", f"{model}@{version}", "--reason", "better")


def certificate() -> bytes:
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([])
    began = datetime(2026, 1, 1, tzinfo=UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, began, began + timedelta(days=1))
    return made.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def live_key(house: House, subject: str, algorithm: str) -> str:
    keys = house.run("admin", "access", "identity", "show", subject)["keys"]
    return next(str(k["key_id"]) for k in keys if k["algorithm"] == algorithm and not k.get("revoked_at"))


def dead_letter(house: House) -> str:
    """Return the dead letter of a message that no one can read; send it if there is none."""
    kafka = house.instance.stack.kafka
    producer = Producer(
        {
            "bootstrap.servers": kafka.bootstrap,
            "security.protocol": SECURITY,
            "sasl.mechanism": "SCRAM-SHA-512",
            "sasl.username": "pipeline",
            "sasl.password": kafka.password("pipeline"),
        }
    )
    producer.produce("regista.training.v1", b"no message")
    producer.flush(30)
    return str(until(lambda: house.run("admin", "dlq", "list"))[0]["id"])


@pytest.fixture(scope="module")
def night(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Night]:
    at, folder = tmp_path_factory.mktemp("night"), InstanceFolder.named(f"test-{os.getpid()}-runbook")
    try:
        instance = lifecycle.start(folder, 180.0, lifecycle.Progress(output=lambda _: None))
        house = House(instance, at)
        key = instance.identities.admin_key_file.read_text().strip()
        admin = Profile(
            url=instance.urls["registry"], api_key=key, cache_dir=str(at / "cache"), usage_window=0
        )
        house.people["admin"] = admin
        _move_in(house, admin)
        house.run(
            "admin", "access", "identity", "create", "person:oncall", "--kind", "person", "--name", "Kim"
        )
        house.run("admin", "access", "grant", "person:oncall", "engineer", "--everywhere")
        issued = house.run("admin", "access", "key", "issue", "person:oncall")["api_key"]
        house.people["oncall"] = replace(admin, api_key=issued)
        publish_and_promote(house, "crm.offers", "clicks-0312", 1)
        for version in (1, 2):
            publish_and_promote(house, "crm.churn", "bank-0301", version)
            publish_and_promote(house, "crm.prices", "prices-0301", version)
        (at / "server.pem").write_bytes(certificate())
        letter, old_key = dead_letter(house), live_key(house, "service:cleanup", "ed25519")
        yield Night(
            house,
            folder,
            at,
            values={
                "PLAN": lambda night: re.findall(r"sha256:[0-9a-f]{64}", night.printed)[-1],
                "DEAD_LETTER": lambda _: letter,
                "KEY_ID": lambda _: live_key(house, "publisher:nightly", "hmac-sha256"),
                "OLD_KEY_ID": lambda _: old_key,
            },
        )
    finally:
        lifecycle.stop(folder)
        shutil.rmtree(folder.directory, ignore_errors=True)


@pytest.mark.parametrize("block", blocks(), ids=lambda block: f"{block.title}: {block.commands[0][:30]}")
def test_the_commands_of_a_section_succeed(night: Night, block: Block) -> None:
    if missing := [
        name for name in PROGRAMS if any(name in c for c in block.commands) and not shutil.which(name)
    ]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    for command in block.commands:
        if command == "regista status":
            until(lambda: gather(night.house.instance).ready)
        night.run(block.who, command)


def test_every_command_of_the_page_names_who_runs_it_and_is_one_that_is_run() -> None:
    assert {block.who for block in blocks()} == {"oncall", "admin"}
    shown = re.findall(r"^\s*\$ (.+)$", PAGE, re.MULTILINE)
    assert sorted(shown) == sorted(command for block in blocks() for command in block.commands)
    first = {command.split()[0] for command in shown}
    assert first == {"regista", *PROGRAMS}


def test_what_the_commands_should_have_done_is_done(night: Night) -> None:
    serving = {one["model"]: one for one in night.house.run("oncall", "serving", "--production", "--stopped")}
    assert [serving[f"crm.{name}"]["champion"] for name in ("churn", "prices")] == [1, 1], json.dumps(serving)
    assert not serving["crm.offers"]["champion"]
    assert night.house.run("oncall", "dlq", "list") == []
