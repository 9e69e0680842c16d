"""The settings of each service, and the content of the state file."""

from __future__ import annotations

import json
import os
import re
import sys
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread
from typing import ClassVar

import pytest

from regista.wire.keys import load_signing_key
from services.kafka.topics import SERVICES
from services.local.folders import InstanceFolder
from services.local.instance import Instance, _without_settings
from services.local.processes import ProcessIdentity
from services.local.status import Part, Status, gather
from services.local.status_table import show, written
from services.local.supervisor_state import ProcessState, SupervisorState, read_state
from shared.foundation.settings import Settings
from shared.identity.access_view import verifier_of


@pytest.fixture
def instance(tmp_path: Path) -> Instance:
    made = Instance.at(InstanceFolder(tmp_path))
    made.choose_ports()
    return made


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_understands_its_settings_and_has_its_own_accounts(
    instance: Instance, service: str
) -> None:
    settings = Settings.from_environment(instance.environment(service))
    assert f"regista_{service}:" in settings.database_url
    assert (settings.kafka_user, settings.kafka_security) == (service, "SASL_PLAINTEXT")
    assert load_signing_key(settings.signing_key_file).subject == f"service:{service}"
    assert settings.public_urls[service].endswith(f":{settings.http_port}")


def test_only_the_artifact_service_gets_a_key_to_the_objects(instance: Instance) -> None:
    found = {s for s in SERVICES if "REGISTA_S3_SECRET_KEY_FILE" in instance.environment(s)}
    assert found == {"artifact"}


def test_no_two_services_share_a_password(instance: Instance) -> None:
    settings = [Settings.from_environment(instance.environment(service)) for service in SERVICES]
    assert len({one.kafka_password for one in settings}) == len(SERVICES)
    assert len({one.database_url for one in settings}) == len(SERVICES)


@pytest.mark.parametrize("service", SERVICES)
def test_no_secret_stands_in_the_environment_of_a_service(instance: Instance, service: str) -> None:
    environment = instance.environment(service)
    secrets = [
        path.read_text().strip() for path in instance.folder.subfolder("secrets").iterdir() if path.is_file()
    ]
    assert len(secrets) >= 4
    assert {name for name, value in environment.items() for secret in secrets if secret in value} == set()


def test_a_file_with_a_secret_is_readable_by_its_owner_only(instance: Instance) -> None:
    for service in SERVICES:
        for name, value in instance.environment(service).items():
            if name.endswith("_FILE"):
                assert Path(value).stat().st_mode & 0o077 == 0, name


def test_the_callers_own_settings_do_not_reach_a_service(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REGISTA_DATABASE_URL", "postgresql://elsewhere")
    assert not [name for name in _without_settings() if name.startswith("REGISTA_")]
    assert _without_settings()["PATH"] == os.environ["PATH"]


@pytest.mark.slow
def test_a_service_keeps_its_compiled_sources_whatever_the_caller_does(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(
        "services.local.instance.python_command",
        lambda _module: [sys.executable, "-c", "import sys; print(sys.dont_write_bytecode)"],
    )
    child = instance.launch("registry")
    child.popen.wait(20)
    assert child.log.read_text() == "False\n"


def test_a_second_replica_is_started_with_a_setting_of_its_own(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = [
        sys.executable,
        "-c",
        "import os; print(os.environ['REGISTA_HTTP_PORT'], os.environ['REGISTA_KAFKA_USER'])",
    ]
    monkeypatch.setattr("services.local.instance.python_command", lambda _module: shown)
    child = instance.launch("registry", HTTP_PORT="12345")
    child.popen.wait(20)
    assert child.log.read_text() == "12345 registry\n"


def test_the_first_identities_show_public_halves_and_hashes_only(instance: Instance) -> None:
    specification = instance.identities.specification()
    *services, admin = [one["subject"] for one in specification["identities"]]
    assert services == [f"service:{name}" for name in SERVICES]
    assert re.fullmatch(r"u-[0-9a-z]{16}", admin)
    text = instance.identities.admin_key_file.read_text()
    written = json.dumps(specification)
    assert text not in written
    assert verifier_of(text, instance.identities.pepper_file.read_text()) in written
    assert specification == instance.identities.specification()


def test_profiles_name_every_person_whose_key_is_kept_here(instance: Instance) -> None:
    instance.identities.api_key_file("grace").write_text("rg_x_y")
    instance.write_profile()
    profiles = tomllib.loads(instance.profile_file.read_text())
    assert profiles["default"] == "admin"
    assert set(profiles["profiles"]) == {"admin", "grace"}
    assert profiles["profiles"]["grace"]["url"] == instance.urls["registry"]


def test_addresses_stay_from_start_to_start(instance: Instance) -> None:
    before = dict(instance.urls)
    instance.choose_ports()
    assert instance.urls == before == Instance.at(instance.folder).urls


def test_the_state_is_read_back_as_it_was_written(tmp_path: Path) -> None:
    folder, me = InstanceFolder(tmp_path), ProcessIdentity.of("supervisor", os.getpid())
    state = SupervisorState(
        me,
        "running",
        "",
        [("postgres", 0.5)],
        {"kafka": ProcessState(ProcessIdentity("kafka", 7, "8"), 1.5, 2, "exit code 1")},
    )
    state.save(folder)
    assert read_state(folder) == state
    assert read_state(InstanceFolder(tmp_path / "nothing")) is None


@pytest.mark.slow
def test_a_lag_that_cannot_be_read_is_unknown_and_not_zero(
    instance: Instance, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("services.local.lag._WAIT", 1.0)
    SupervisorState(ProcessIdentity.of("supervisor", os.getpid()), "running").save(instance.folder)
    found = gather(instance)
    assert (found.consumers, found.relays) == ({}, {})
    assert found.unknown["consumers"]
    assert found.unknown["relays"].startswith("ConnectionRefusedError: ")
    assert not found.ready


@pytest.mark.slow
def test_a_server_that_runs_and_does_not_answer_is_not_ready(
    instance: Instance, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("services.local.lag._WAIT", 1.0)
    me = ProcessIdentity.of("server", os.getpid())
    servers = {name: ProcessState(me, 1.0) for name in ("s3", "postgres", "kafka")}
    SupervisorState(me, "running", "", [], servers).save(instance.folder)
    found = gather(instance)
    parts = {part.name: part for part in found.parts}
    assert {name: part.ready for name, part in parts.items()} == {
        "s3": True,
        "postgres": False,
        "kafka": False,
    }
    assert parts["postgres"].why.startswith("cannot be used (ConnectionRefusedError")
    assert parts["kafka"].why.startswith("cannot be used (")
    show(found)
    shown = [line.split("\t") for line in capsys.readouterr().out.splitlines()]
    assert [row[3] for row in shown if row[1:2] == ["postgres"]] == [parts["postgres"].why]


def test_the_reason_of_a_failed_supervisor_stays(tmp_path: Path) -> None:
    SupervisorState(ProcessIdentity("supervisor", 1, "0"), "failed", "no Java").save(InstanceFolder(tmp_path))
    found = gather(Instance.at(InstanceFolder(tmp_path)))
    assert (found.phase, found.problem, found.parts, found.ready) == ("stopped", "no Java", [], False)


class _Dying(BaseHTTPRequestHandler):
    """A service one of whose parts ended."""

    ANSWERS: ClassVar = {
        "/readyz": {"ready": False, "reasons": {"process": "it ends, too"}},
        "/healthz": {"alive": False, "ended": "relay registry"},
    }

    def do_GET(self) -> None:
        body = json.dumps(self.ANSWERS[self.path]).encode()
        self.send_response(503)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name of the base class
        """Print nothing."""


def test_the_status_names_the_part_that_ended_and_how_the_process_ended_before(
    instance: Instance, capsys: pytest.CaptureFixture[str]
) -> None:
    me = ProcessIdentity.of("supervisor", os.getpid())
    with HTTPServer(("127.0.0.1", 0), _Dying) as server:
        Thread(target=lambda: [server.handle_request() for _ in _Dying.ANSWERS], daemon=True).start()
        instance.urls["registry"] = f"http://127.0.0.1:{server.server_port}"
        again = ProcessState(me, 1.0, exits=2, last="killed by SIGKILL")
        SupervisorState(me, "running", "", [], {"registry": again}).save(instance.folder)
        found = gather(instance, lags=False)
    (part,) = found.parts
    assert (part.ready, part.ended, part.last) == (False, "relay registry", "killed by SIGKILL")
    show(found)
    assert "its part" in capsys.readouterr().out


def test_the_status_has_the_formats_of_lists(capsys: pytest.CaptureFixture[str]) -> None:
    part = Part(
        "registry", "http://x", running=True, ready=True, why="", pid=1, up=1, exits=0, resident=2**20
    )
    status = Status("running", "", [part], consumers={"group": {"topic": 3}})
    assert json.loads(written(status, "json"))["parts"][0]["name"] == "registry"
    assert written(status, "yaml").startswith("phase: running")
    assert written(status, "csv").splitlines()[0].startswith("name,where,running,ready")
    assert written(status, "name") == "registry"
    show(status)
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].split("\t") == ["●", "registry", "http://x", "ready", "1 s", "1 MiB", ""]
    assert lines[3].split("\t") == ["group", "topic", "3"]
