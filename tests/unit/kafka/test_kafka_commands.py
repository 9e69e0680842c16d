"""`regista kafka` without a cluster: usage, settings, files."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from regista.cli import root
from services.kafka.connection import ClusterError, Connection, properties_of

SETTINGS = dict.fromkeys(
    (
        "REGISTA_KAFKA_BOOTSTRAP",
        "REGISTA_KAFKA_SECURITY",
        "REGISTA_KAFKA_USER",
        "REGISTA_KAFKA_PASSWORD",
        "REGISTA_KAFKA_PASSWORD_FILE",
        "REGISTA_KAFKA_CA_FILE",
        "REGISTA_KAFKA_MECHANISM",
    )
)


def run(*words: str) -> Result:
    return CliRunner().invoke(root, ["kafka", *words], env=SETTINGS)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["plan"], "--bootstrap"),
        (["plan", "--no-such"], "--no-such"),
        (["plan", "--security", "none"], "SASL_SSL"),
        (["plan", "--publisher", "registry"], "registry"),
        (["plan", "--publisher", "x=dlq"], "dead letters"),
        (["plan", "--principal", "registry"], "USER=NAME"),
        (["plan", "--principal", "registry=*"], "USER=NAME"),
        (["plan", "--principal", "stranger=x"], "stranger"),
        (["plan", "--reader", "x", "--no-readers"], "--no-readers"),
        (["plan", "--format", "strimzi", "--json"], "--format"),
        (["plan", "--format", "strimzi", "--principal", "registry=CN=x"], "KafkaUser"),
        (["plan", "--password-file", "nothing", "--bootstrap", "x:1"], "nothing"),
        (["apply", "--bootstrap", "x:1", "--set-password", "stranger"], "stranger"),
        (["apply", "--bootstrap", "x:1", "--set-password", "reader", "--no-users"], "--no-users"),
    ],
)
def test_wrong_usage_is_named_and_does_not_end_as_if_something_were_missing(
    words: list[str], named: str
) -> None:
    done = run(*words)
    assert (done.exit_code, done.stdout) == (1, "")
    assert named in done.stderr


def test_wrong_usage_is_json_for_programs() -> None:
    done = run("plan", "--json", "--publisher", "registry")
    assert (done.exit_code, json.loads(done.stderr)["code"]) == (1, "wrong_usage")


def test_the_files_are_written_without_a_cluster() -> None:
    script = run(
        "plan", "--format", "kafka-acls", "--publisher", "fraud-ci=fraud", "--user-prefix", "regista-"
    )
    assert (script.exit_code, script.stdout.splitlines()[0]) == (0, "#!/bin/sh")
    assert "regista.training.v1.fraud" in script.stdout
    assert "User:regista-fraud-ci" in script.stdout
    made = run("plan", "--format", "strimzi", "--strimzi-cluster", "events", "--no-readers")
    resources = list(yaml.safe_load_all(made.stdout))
    assert {one["metadata"]["labels"]["strimzi.io/cluster"] for one in resources} == {"events"}
    assert "reader" not in {one["metadata"]["name"] for one in resources}


@pytest.mark.parametrize("name", ["plan", "apply"])
def test_the_help_has_the_exit_codes_and_examples(name: str) -> None:
    shown = run(name, "--help").output
    assert "regista kafka " + name in shown
    assert all(f"{code} " in shown for code in (0, 1, 2))


def test_a_connection_shows_no_password() -> None:
    shown = repr(
        Connection("kafka:9093", "SASL_SSL", "PLAIN", "admin", "hidden", more={"sasl.password": "hid"})
    )
    assert "hid" not in shown


def test_a_properties_file_of_librdkafka_replaces_and_adds(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("# a comment\n\nssl.certificate.location = /a=b.pem\nsecurity.protocol=SSL\n")
    properties = Connection("kafka:9093", more=properties_of(file)).properties
    assert properties["ssl.certificate.location"] == "/a=b.pem"
    assert properties["security.protocol"] == "SSL"


@pytest.mark.parametrize("line", ["sasl.jaas.config=x required;", "no property"])
def test_a_properties_file_of_java_is_refused_by_its_line(tmp_path: Path, line: str) -> None:
    file = tmp_path / "client.properties"
    file.write_text(f"security.protocol=SSL\n{line}\n")
    with pytest.raises(ClusterError, match="line 2"):
        properties_of(file)


def test_an_unknown_property_is_an_error(tmp_path: Path) -> None:
    file = tmp_path / "client.properties"
    file.write_text("no.such.property=1\n")
    done = run("plan", "--bootstrap", "127.0.0.1:1", "--client-config", str(file))
    assert (done.exit_code, "no.such.property" in done.stderr) == (1, True)


@pytest.mark.parametrize("certificate", ["missing.pem", "empty.pem"])
def test_an_authority_that_cannot_be_read_is_an_error(tmp_path: Path, certificate: str) -> None:
    (tmp_path / "empty.pem").write_text("no certificate")
    words = ("--bootstrap", "127.0.0.1:1", "--security", "SSL", "--ca-file", str(tmp_path / certificate))
    done = run("plan", *words)
    assert (done.exit_code, certificate in done.stderr) == (1, True)
