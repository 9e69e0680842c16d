"""`regista kafka` on a broker of another organisation."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from services.kafka.apply import apply
from services.kafka.needs import Grant, Needs
from services.kafka.passwords import password_of
from services.kafka.plan import Permit, SetPassword
from services.kafka.protocol import quotas_of, set_quotas
from services.kafka.topics import TRAINING
from services.local import kafka_access
from services.local.kafka import SUPER_USER
from shared.foundation.topics import dlq_of, topic_of
from tests.integration.local.own_kafka import OwnKafka, running

pytestmark = pytest.mark.servers
EVENTS = topic_of("registry")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OwnKafka]:
    folder = tmp_path_factory.mktemp("own")
    with running(folder) as kafka:
        assert kafka.child
        kafka_access.await_broker(kafka.admin(), 60, kafka.child.check)
        yield OwnKafka(kafka, folder)


@pytest.fixture
def own(broker: OwnKafka, tmp_path: Path) -> OwnKafka:
    broker.empty()
    return OwnKafka(broker.kafka, tmp_path)


def test_an_empty_cluster_gets_all_that_is_needed_and_a_second_time_nothing(own: OwnKafka) -> None:
    code, lacking = own.plan()
    assert (code, {one["state"] for one in lacking}) == (2, {"missing"})
    done = own.apply()
    assert (done.exit_code, f"{len(lacking)} of {len(lacking)} changes are made" in done.stderr) == (0, True)
    assert own.plan() == (0, [])
    passwords = {file.name: file.read_text() for file in own.secrets.iterdir()}
    again = own.apply()
    assert (again.exit_code, "Nothing is missing" in again.stderr) == (0, True)
    assert {file.name: file.read_text() for file in own.secrets.iterdir()} == passwords


def test_each_user_may_do_what_it_needs_and_no_more(own: OwnKafka) -> None:
    assert own.apply("--publisher", "pipeline", "--publisher", "fraud-ci=fraud").exit_code == 0
    assert own.write("pipeline", TRAINING) == ""
    assert own.write("fraud-ci", f"{TRAINING}.fraud") == ""
    assert own.write("registry", EVENTS) == ""
    assert own.read("registry", f"registry.{TRAINING}", TRAINING) == "x"
    assert own.read("registry", f"registry.{TRAINING}.fraud", f"{TRAINING}.fraud") == "x"
    assert own.read("approval", f"approval.{EVENTS}", EVENTS) == "x"
    assert own.read("reader", "reader.lake", EVENTS) == "x"
    assert own.read("reader", "reader", EVENTS) == "x"
    for user, topic in (("fraud-ci", TRAINING), ("pipeline", f"{TRAINING}.fraud"), ("approval", EVENTS)):
        assert own.write(user, topic) == "TOPIC_AUTHORIZATION_FAILED"
    assert own.read("artifact", f"artifact.{TRAINING}", TRAINING) == "TOPIC_AUTHORIZATION_FAILED"
    for user, group in (("reader", "reader-b"), ("registry", "registry"), ("audit", "audit-of-finance")):
        assert own.read(user, group, EVENTS) == "GROUP_AUTHORIZATION_FAILED"


def test_a_large_event_fits_although_the_broker_allows_less_by_default(tmp_path: Path) -> None:
    small = {"message.max.bytes=4194304": "message.max.bytes=1048588"}
    with running(tmp_path / "own", small, "log.retention.hours=1\nlog.cleanup.policy=compact") as kafka:
        own = OwnKafka(kafka, tmp_path)
        assert kafka.child
        kafka_access.await_broker(own.admin, 60, kafka.child.check)
        assert own.apply().exit_code == 0
        assert own.write("registry", EVENTS, os.urandom(3_000_000)) == ""
        assert own.plan() == (0, [])


def test_wrong_settings_are_corrected_and_what_keeps_more_stays(own: OwnKafka) -> None:
    own.create(EVENTS, retention_ms="604800000", cleanup_policy="compact")
    own.create(TRAINING, max_message_bytes="8388608")
    own.create(dlq_of(EVENTS), retention_ms="1000", retention_bytes="-1", max_message_bytes="2097152")
    _code, found = own.plan()
    wrong = {(one["name"], one["needed"], one["found"]) for one in found if one["state"] == "wrong"}
    assert (EVENTS, "retention.ms=-1", "604800000") in wrong
    assert (EVENTS, "cleanup.policy=delete", "compact") in wrong
    assert own.apply().exit_code == 0
    code, left = own.plan()
    assert (code, {(one["name"], one["state"], one["found"]) for one in left}) == (
        0,
        {(TRAINING, "superfluous", "8388608"), (dlq_of(EVENTS), "superfluous", "-1")},
    )


def test_other_settings_of_a_topic_stay(own: OwnKafka) -> None:
    own.create(EVENTS, retention_ms="604800000", segment_ms="86400000")
    assert own.apply().exit_code == 0
    assert own.compared(Needs()).differences == ()
    admin = own.admin
    from confluent_kafka.admin import ConfigResource  # noqa: PLC0415

    topic = ConfigResource(ConfigResource.Type.TOPIC, EVENTS)
    assert admin.describe_configs([topic])[topic].result(20)["segment.ms"].value == "86400000"


def test_partitions_are_raised_without_messages_and_never_with_them(own: OwnKafka) -> None:
    own.create(EVENTS, partitions=1)
    own.create(TRAINING, partitions=2)
    own.create(topic_of("audit"), partitions=9)
    assert apply(own.connection, [SetPassword("pipeline")], lambda user: password_of(own.secrets, user)) == []
    apply(own.connection, [Permit(Grant("pipeline", "TOPIC", TRAINING, "WRITE"))], str)
    assert own.write("pipeline", TRAINING) == ""
    done = own.apply()
    assert done.exit_code == 2
    partitions = {name: len(topic.partitions) for name, topic in own.admin.list_topics().topics.items()}
    assert (partitions[EVENTS], partitions[TRAINING]) == (4, 2)
    code, left = own.plan()
    assert (code, [(one["name"], one["state"]) for one in left if one["state"] != "superfluous"]) == (
        2,
        [(TRAINING, "by hand")],
    )
    assert own.plan("--partitions", "2")[0] == 0


def test_a_missing_right_is_found_and_given(own: OwnKafka) -> None:
    from confluent_kafka.admin import (  # noqa: PLC0415
        AclBindingFilter,
        AclOperation,
        AclPermissionType,
        ResourcePatternType,
        ResourceType,
    )

    assert own.apply().exit_code == 0
    one = AclBindingFilter(
        ResourceType.TOPIC,
        TRAINING,
        ResourcePatternType.LITERAL,
        "User:pipeline",
        "*",
        AclOperation.WRITE,
        AclPermissionType.ALLOW,
    )
    admin = own.admin
    admin.delete_acls([one])[one].result(20)
    code, found = own.plan()
    assert (code, [(d["name"], d["state"], d["needed"]) for d in found]) == (
        2,
        [("pipeline", "missing", f"WRITE topic {TRAINING}")],
    )
    assert own.apply().exit_code == 0
    assert own.plan() == (0, [])


@pytest.mark.parametrize("done", [0, 1, 15, 25, 40, 70])
def test_what_was_applied_in_part_is_completed(own: OwnKafka, done: int) -> None:
    steps = own.compared(Needs()).steps
    assert apply(own.connection, steps[:done], lambda user: password_of(own.secrets, user)) == []
    assert own.apply().exit_code == 0
    assert own.compared(Needs()).differences == ()
    assert own.write("pipeline", TRAINING) == ""


def test_a_killed_call_is_completed_by_the_next_with_the_same_passwords(own: OwnKafka) -> None:
    connection = own.connection
    settings = {"SECURITY": connection.security, "MECHANISM": "PLAIN", "USER": SUPER_USER}
    environment = {f"REGISTA_KAFKA_{name}": value for name, value in settings.items()}
    words = ["kafka", "apply", "--yes", "--passwords", str(own.secrets), "--bootstrap", connection.bootstrap]
    child = subprocess.Popen(
        [str(Path(sys.executable).with_name("regista")), *words],
        env=os.environ | environment | {"REGISTA_KAFKA_PASSWORD": connection.password},
    )
    deadline = time.monotonic() + 60
    while not (own.secrets / "registry").exists():
        assert time.monotonic() < deadline
        assert child.poll() is None
    child.send_signal(signal.SIGKILL)
    child.wait(20)
    made = (own.secrets / "registry").read_text()
    assert own.apply().exit_code == 0
    assert (own.secrets / "registry").read_text() == made
    assert own.write("registry", EVENTS) == ""
    assert own.plan() == (0, [])
    # what a killed call was writing stays as a hidden file and is no password
    users = [file for file in own.secrets.iterdir() if not file.name.startswith(".")]
    assert not [file for file in users if file.read_text() == ""]


def test_two_calls_at_the_same_time_do_the_same(own: OwnKafka) -> None:
    connection = own.connection
    words = ["kafka", "apply", "--yes", "--passwords", str(own.secrets), "--bootstrap", connection.bootstrap]
    words += ["--security", connection.security, "--mechanism", "PLAIN", "--user", SUPER_USER]
    both = [
        subprocess.Popen(
            [str(Path(sys.executable).with_name("regista")), *words],
            env=os.environ | {"REGISTA_KAFKA_PASSWORD": connection.password},
        )
        for _ in range(2)
    ]
    assert [one.wait(120) for one in both] == [0, 0]
    assert own.plan() == (0, [])
    assert own.write("registry", EVENTS) == ""


def test_what_a_principal_may_not_read_is_named(own: OwnKafka) -> None:
    assert own.apply().exit_code == 0
    apply(own.connection, [SetPassword("viewer")], lambda user: password_of(own.secrets, user))
    words = as_viewer(own)
    code, found = own.plan(*words)
    assert (code, {one["state"] for one in found}) == (1, {"unknown"})
    named = {one["name"]: one["note"] for one in found}
    assert {"users", "permissions", "quotas", f"topic {EVENTS}"} <= named.keys()
    assert "DESCRIBE" in named["users"]
    assert "--no-users" in named["users"]
    assert own.run("apply", "--yes", *words).exit_code == 1


def test_a_principal_that_may_only_read_topics_compares_topics(own: OwnKafka) -> None:
    assert own.apply().exit_code == 0
    apply(own.connection, [SetPassword("viewer")], lambda user: password_of(own.secrets, user))
    for operation in ("DESCRIBE", "DESCRIBE_CONFIGS"):
        grant = Grant("viewer", "TOPIC", "regista.", operation, "PREFIXED")  # type: ignore[arg-type]
        assert apply(own.connection, [Permit(grant)], str) == []
    words = as_viewer(own)
    only = ("--no-users", "--no-acls", "--no-quotas")
    assert own.plan(*words, *only) == (0, [])
    done = own.run("apply", "--yes", *words, *only, "--publisher", "x=new")
    assert done.exit_code == 1
    assert "AUTHORIZATION_FAILED" in done.stderr


def as_viewer(own: OwnKafka) -> list[str]:
    file = str(own.secrets / "viewer")
    return ["--user", "viewer", "--mechanism", "SCRAM-SHA-512", "--password-file", file]


def test_a_wrong_password_is_an_error_and_not_a_difference(own: OwnKafka) -> None:
    done = own.run("plan", REGISTA_KAFKA_PASSWORD="wrong")
    assert (done.exit_code, done.stdout) == (1, "")
    assert "kafka_unavailable" in done.stderr
    assert "Authentication failed" in done.stderr


@pytest.mark.parametrize("words", [["plan"], ["apply", "--yes", "--no-users"]])
def test_a_cluster_that_does_not_answer_is_an_error(own: OwnKafka, words: list[str]) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{unused.getsockname()[1]}"
        done = own.run(*words, "--bootstrap", address, "--json")
    assert (done.exit_code, done.stdout) == (1, "")
    problem = json.loads(done.stderr)
    assert problem["code"] == "kafka_unavailable"
    assert address in problem["detail"]
    assert "Connection refused" in problem["detail"]


def test_users_with_a_prefix_stand_beside_those_of_others(own: OwnKafka) -> None:
    apply(own.connection, [SetPassword("reader")], lambda _: "of-another-application")
    _code, found = own.plan()
    assert [one["name"] for one in found if one["state"] == "note"] == ["reader"]
    assert own.apply("--user-prefix", "regista-").exit_code == 0
    assert own.plan("--user-prefix", "regista-") == (0, [])
    assert own.write("regista-pipeline", TRAINING) == ""
    assert "reader" not in {file.name for file in own.secrets.iterdir()}
    assert not {acl.user for acl in own_acls(own)} & {"reader", "registry"}


def own_acls(own: OwnKafka) -> frozenset:  # type: ignore[type-arg]
    from services.kafka.cluster import read  # noqa: PLC0415
    from services.kafka.found import Parts  # noqa: PLC0415

    return read(own.connection, Needs(), Parts()).acls or frozenset()


def test_without_users_principals_of_the_cluster_get_the_permissions(own: OwnKafka) -> None:
    words = ("--no-users", "--principal", "registry=sa-abc123", "--principal", "reader=CN=lake,O=Example")
    assert own.run("apply", "--yes", *words).exit_code == 0
    assert own.plan(*words) == (0, [])
    users = {acl.user for acl in own_acls(own)}
    assert {"sa-abc123", "CN=lake,O=Example", "approval"} <= users
    assert not {"registry", "reader"} & users


def test_an_existing_password_changes_only_when_it_is_named(own: OwnKafka) -> None:
    assert own.apply().exit_code == 0
    (own.secrets / "pipeline").write_text("another-password-of-the-operator")
    assert own.apply().exit_code == 0
    assert own.apply("--set-password", "pipeline").exit_code == 0
    assert own.write("pipeline", TRAINING) == ""


def test_a_quota_that_the_operator_chose_stays(own: OwnKafka) -> None:
    set_quotas(own.connection, {"pipeline": {"producer_byte_rate": 5.0}})
    try:
        assert own.apply().exit_code == 0
        found = quotas_of(own.connection, ["pipeline", "serving", "reader"])
        assert found["pipeline"] == {"producer_byte_rate": 5.0}
        assert found["serving"] == {"producer_byte_rate": 16.0 * 1024 * 1024}
    finally:
        set_quotas(own.connection, {"pipeline": {"producer_byte_rate": 16.0 * 1024 * 1024}})


def test_without_an_answer_nothing_is_changed(own: OwnKafka) -> None:
    done = own.run("apply", "--passwords", str(own.secrets), typed="n\n")
    assert done.exit_code == 1
    assert "--yes" in done.stderr
    assert own.admin.list_topics(timeout=10).topics.keys() & {EVENTS} == set()
    without = own.run("apply", "--yes")
    assert (without.exit_code, "--passwords" in without.stderr) == (1, True)


def test_a_copy_on_more_brokers_than_there_are_is_refused_and_the_rest_is_made(own: OwnKafka) -> None:
    done = own.apply("--replication-factor", "3", "--json")
    answer = json.loads(done.stdout)
    assert done.exit_code == 1
    assert {one["step"]["topic"]["replication"] for one in answer["failed"]} == {3}
    assert {one["kind"] for one in answer["after"]["differences"]} == {"topic"}
    assert own.apply().exit_code == 0


def test_a_broker_with_tls_is_reached_with_its_authority(tmp_path: Path) -> None:
    certificates(tmp_path)
    tls = (
        f"ssl.keystore.type=PEM\nssl.keystore.location={tmp_path}/server.pem\n"
        f"ssl.truststore.type=PEM\nssl.truststore.location={tmp_path}/ca.pem\n"
    )
    with running(tmp_path / "own", {"CLIENTS:SASL_PLAINTEXT": "CLIENTS:SASL_SSL"}, tls) as kafka:
        own = OwnKafka(kafka, tmp_path)
        trusting = replace(own.connection, security="SASL_SSL", ca_file=str(tmp_path / "ca.pem"))
        assert kafka.child
        kafka_access.await_broker(trusting.admin(), 60, kafka.child.check)
        words = ("--security", "SASL_SSL", "--passwords", str(own.secrets), "--yes")
        trusted = ("--ca-file", str(tmp_path / "ca.pem"))
        assert own.run("apply", *words, *trusted).exit_code == 0
        assert own.run("plan", *words[:2], *trusted).exit_code == 0
        (tmp_path / "client.properties").write_text(f"# ours\nssl.ca.location={tmp_path}/ca.pem\n")
        config = ("--client-config", str(tmp_path / "client.properties"))
        assert own.run("plan", *words[:2], *config).exit_code == 0
        refused = own.run("plan", *words[:2])
        assert (refused.exit_code, "CA" in refused.stderr) == (1, True)


def certificates(folder: Path) -> None:
    """Write an authority, and a key with a certificate of it for 127.0.0.1."""
    now = datetime.now(UTC)

    def made(
        name: str, key: ec.EllipticCurvePrivateKey, issuer: str, signer: ec.EllipticCurvePrivateKey
    ) -> bytes:
        subject, by = (x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, n)]) for n in (name, issuer))
        built = x509.CertificateBuilder(by, subject, key.public_key(), x509.random_serial_number())
        built = built.not_valid_before(now - timedelta(days=1)).not_valid_after(now + timedelta(days=1))
        built = built.add_extension(x509.BasicConstraints(ca=name == issuer, path_length=None), critical=True)
        address = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
        signed = built.add_extension(address, critical=False).sign(signer, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    authority, server = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    (folder / "ca.pem").write_bytes(made("authority", authority, "authority", authority))
    key = server.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    (folder / "server.pem").write_bytes(key + made("server", server, "authority", authority))
