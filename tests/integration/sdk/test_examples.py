"""The examples in Java and Node publish to a running Regista, where their runtimes are installed."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from regista.client.profile import Profile
from regista.publishing.publication import document
from services.local.kafka_jars import class_path
from tests.integration.sdk.conftest import House, trained

EXAMPLES = Path(__file__).parents[3] / "examples"
pytestmark = pytest.mark.servers


def _published(profile: Profile, folder: Path, model: str, *argv: str | Path) -> dict[str, Any]:
    """Run an example with the settings of a publisher; return what it printed."""
    (folder / "model.onnx").write_bytes(b"onnx" * 1000)
    metadata = document(model, trained(), creator="publisher:nightly")
    (folder / "run.json").write_bytes(msgspec.json.encode(metadata))
    words = [*argv, "publish", model, folder / "model.onnx", folder / "run.json"]
    ran = subprocess.run(
        [str(word) for word in words],
        env=_environment(profile),
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    answer: dict[str, Any] = json.loads(ran.stdout)
    return answer


def _environment(profile: Profile) -> dict[str, str]:
    """Return the environment of a program that publishes with the profile."""
    settings = {
        "URL": profile.url,
        "API_KEY": profile.api_key,
        "KEY_FILE": profile.key_file,
        "KAFKA_BOOTSTRAP": profile.kafka_bootstrap,
        "KAFKA_USER": profile.kafka_user,
        "KAFKA_PASSWORD": profile.kafka_password,
        "KAFKA_SECURITY": profile.kafka_security,
    }
    environment = {f"REGISTA_{name}": value for name, value in settings.items() if value}
    return dict(os.environ) | environment | {"REGISTA_CACHE_DIR": str(profile.cache_dir)}


def test_the_python_of_the_readme_trains_publishes_and_loads(house: House, tmp_path: Path) -> None:
    profile = replace(house.people["nightly"], cache_dir=str(tmp_path / "cache"))
    ran = subprocess.run(
        [sys.executable, EXAMPLES / "python" / "train.py", "crm.biopsies"],
        env=_environment(profile) | {"PYTHONPATH": os.pathsep.join(sys.path)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=300,
    )
    assert ran.returncode == 0, ran.stderr
    published, *predicted = ran.stdout.splitlines()
    assert published == "crm.biopsies 1.0.0, number 1, Staging"
    assert predicted[0].startswith("[")
    with house.client("nightly") as client:
        again = client.publish(
            "crm.biopsies", tmp_path / "model.onnx", **json.loads((tmp_path / "run.json").read_text())
        )
        assert (again.wait().number, again.wait().new) == (1, False)


@pytest.mark.skipif(shutil.which("javac") is None, reason="no JDK is installed")
def test_java_publishes_in_a_transaction(house: House, tmp_path: Path) -> None:
    program = ("java", "-cp", class_path(), EXAMPLES / "java" / "Publish.java")
    answer = _published(house.people["nightly"], tmp_path, "crm.java", *program)
    assert (answer["state"], answer["semver"]) == ("registered", "1.0.0")


@pytest.mark.skipif(shutil.which("node") is None, reason="Node is not installed")
def test_node_publishes_over_http(house: House, tmp_path: Path) -> None:

    over_http = replace(house.people["nightly"], kafka_bootstrap="")
    answer = _published(over_http, tmp_path, "crm.node", "node", EXAMPLES / "node" / "publish.mjs")
    assert (answer["model"], answer["semver"], answer["stage"]) == ("crm.node", "1.0.0", "Staging")


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_node_publishes_to_kafka(house: House, tmp_path: Path) -> None:
    install = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(tmp_path), "kafkajs@2"]
    installed = subprocess.run(install, capture_output=True, text=True, check=False, timeout=120)
    if installed.returncode:
        pytest.skip("npm cannot fetch kafkajs")
    program = Path(shutil.copy(EXAMPLES / "node" / "publish.mjs", tmp_path))
    answer = _published(house.people["nightly"], tmp_path, "crm.kafkajs", "node", program)
    assert (answer["state"], answer["semver"]) == ("registered", "1.0.0")
    assert "regista.registry.ModelRegistered.v1" in _read_with_kafkajs(house, tmp_path)


READER = """
import { Kafka } from "kafkajs";
const [, , broker, password] = process.argv;
const sasl = { mechanism: "scram-sha-512", username: "approval", password };
const kafka = new Kafka({ brokers: [broker], sasl, logLevel: 1 });
const consumer = kafka.consumer({ groupId: "approval.regista.reader" });
await consumer.connect();
await consumer.subscribe({ topic: "regista.registry.events.v1", fromBeginning: true });
await consumer.run({ eachMessage: async ({ message }) => {
  console.log(message.headers.ce_type.toString(), JSON.parse(message.value.toString()).model_id);
  if (message.headers.ce_subject.toString().startsWith("model-")) process.exit(0);
} });
"""


def _read_with_kafkajs(house: House, folder: Path) -> str:
    """Read events of the registry with kafkajs as it comes, which has no codec but gzip."""
    (folder / "reader.mjs").write_text(READER)
    kafka = house.instance.stack.kafka
    words = ["node", str(folder / "reader.mjs"), kafka.bootstrap, kafka.password("approval")]
    return subprocess.run(words, capture_output=True, text=True, check=True, timeout=120).stdout
