"""What a container gets is all that its program needs: libraries, and settings by way of the entry point."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from regista.wire.keys import load_signing_key
from services.artifact.stores.s3 import S3Store
from services.console.settings import ConsoleSettings
from services.kafka.topics import SERVICES
from services.local import containers, kafka, keycloak
from services.local.folders import REPOSITORY
from services.local.fronts import PROCESSES
from services.local.identities import READERS
from services.local.postgres import SETTINGS as OF_POSTGRES
from shared.foundation.settings import Settings

COMPOSE = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
DEPLOY = REPOSITORY / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
PROGRAMS = (
    "services.local.containers",
    "services.registry.access.bootstrap",
    "shared.migrate",
    *(f"services.{name}.service" for name in SERVICES),
)
OWN = {"regista", "regista-server", "services", "shared"}
SHARED = {"backports"}
"""Packages of several distributions: who looks for one of them imports the package of another."""


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


IMPORTED = """
import importlib, json, sys
found, old = {}, set(sys.modules)
for program in sys.argv[1:]:
    importlib.import_module(program)
    found[program] = sorted({module.partition(".")[0] for module in set(sys.modules) - old})
print(json.dumps(found))
"""
"""Imports the programs in one process; the modules of each are those of the programs before it, too."""


@pytest.fixture(scope="module")
def imported() -> dict[str, dict[str, set[str]]]:
    """By program: the modules that it imports from libraries, with the distributions they are of."""
    given = subprocess.run(
        [sys.executable, "-c", IMPORTED, *PROGRAMS], capture_output=True, text=True, check=True
    )
    homes = importlib.metadata.packages_distributions()
    return {
        program: {
            name: {_normal(home) for home in homes[name]}
            for name in modules
            if name in homes and name not in OWN | SHARED
        }
        for program, modules in json.loads(given.stdout).items()
    }


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.slow
def test_the_image_has_every_library_that_its_programs_import(
    program: str, imported: dict[str, dict[str, set[str]]]
) -> None:
    pinned = {
        _normal(name)
        for name in re.findall(
            r"^([\w.-]+)", (DEPLOY / "requirements" / "server.txt").read_text(), re.MULTILINE
        )
    }
    assert imported[program]
    assert {name: found for name, found in imported[program].items() if not found & pinned} == {}


@pytest.mark.parametrize("read", [kafka.PROPERTIES, keycloak.REALM_FILE], ids=lambda file: file.name)
def test_the_image_has_the_files_that_its_programs_read(read: Path) -> None:
    folder = read.parent.relative_to(REPOSITORY)
    assert f"COPY {folder} /srv/{folder}\n" in DOCKERFILE


@pytest.fixture
def environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, dict[str, str]]:
    """By service: the variables with which the image's entry point starts it, after both set-up steps."""
    monkeypatch.setattr(containers, "STATE", tmp_path / "state")
    monkeypatch.setattr(containers, "SETTINGS", tmp_path / "settings")
    for name in (*PROCESSES, *containers.SERVER_FILES):
        (tmp_path / "settings" / name).mkdir(parents=True)
    containers.prepare()
    containers.give_settings(containers.of(containers.stack()))
    shown = tmp_path / "bin" / "python"
    shown.parent.mkdir()
    shown.write_text(
        f'#!/bin/sh\nexec {sys.executable} -c "import json, os; print(json.dumps(dict(os.environ)))"\n'
    )
    shown.chmod(0o755)
    of_image = dict(re.findall(r"\b(REGISTA_\w+)=(\S+)", DOCKERFILE))
    found = {}
    for service in SERVICES:
        script = tmp_path / f"entrypoint-{service}"
        script.write_text(
            (DEPLOY / "entrypoint").read_text().replace("/settings", str(tmp_path / "settings" / service))
        )
        path = {"PATH": f"{shown.parent}:/usr/bin:/bin"}
        given = subprocess.run(
            ["sh", script, service], env=path | of_image, capture_output=True, text=True, check=True
        )
        found[service] = {
            name: value for name, value in json.loads(given.stdout).items() if name.startswith("REGISTA_")
        }
    return found


def _settings_of(service: str) -> type[Settings]:
    name = f"services.{service}.settings"
    own: type[Settings] = (
        getattr(importlib.import_module(name), f"{service.title()}Settings")
        if importlib.util.find_spec(name)
        else Settings
    )
    return own


def test_each_service_gets_settings_that_it_has_and_can_start_with(
    environment: dict[str, dict[str, str]],
) -> None:
    for service, given in environment.items():
        kind = _settings_of(service)
        fields = {f"REGISTA_{name.upper()}" for name in kind.model_fields}
        assert {
            name for name in given if name not in fields and name.removesuffix("_FILE") not in fields
        } == set(), service
        settings = kind.from_environment(given)
        settings.require("database_url", "pepper", "kafka_user", "kafka_password")
        assert load_signing_key(settings.signing_key_file).subject == f"service:{service}"
        assert (settings.http_host, settings.http_port, settings.kafka_bootstrap) == (
            "0.0.0.0",  # noqa: S104
            8000,
            "kafka:9092",
        )
        (published,) = COMPOSE["services"][service]["ports"]
        outside = f"http://{published.removesuffix(':8000')}"
        inside = f"http://{service}:8000"  # of a service that calls the others
        assert settings.public_urls[service] == (inside if service in READERS else outside)


def test_the_console_calls_the_services_inside_the_network_and_is_opened_from_outside(
    environment: dict[str, dict[str, str]], tmp_path: Path
) -> None:
    assert environment
    files = (tmp_path / "settings" / "console").iterdir()
    settings = ConsoleSettings.from_environment({f"REGISTA_{f.name}": f.read_text().strip() for f in files})
    assert settings.public_urls == {service: f"http://{service}:8000" for service in SERVICES}
    (published,) = COMPOSE["services"]["console"]["ports"]
    assert settings.console_url == f"http://{published.removesuffix(':8000')}"
    assert f"{settings.console_packages}/node_modules" in DOCKERFILE
    assert not settings.database_url
    assert not settings.pepper
    assert len(settings.console_link_secret) >= 32  # for `local.containers link`


def test_only_artifact_is_given_a_store(environment: dict[str, dict[str, str]]) -> None:
    settings = _settings_of("artifact").from_environment(environment["artifact"])
    assert isinstance(settings.store(), S3Store)  # type: ignore[attr-defined]
    assert settings.s3_endpoint == "s3:8333"  # type: ignore[attr-defined]
    assert [service for service, given in environment.items() if "REGISTA_S3_SECRET_KEY_FILE" in given] == [
        "artifact"
    ]


def test_a_lasting_container_restarts_and_has_a_health_check() -> None:
    lasting = {name: one for name, one in COMPOSE["services"].items() if name not in {"prepare", "migrate"}}
    assert {name for name, one in lasting.items() if one.get("restart") != "unless-stopped"} == set()
    assert "HEALTHCHECK" in DOCKERFILE
    assert {
        name for name, one in lasting.items() if one["image"] != "regista" and "healthcheck" not in one
    } == set()
    assert {
        condition["condition"] for condition in COMPOSE["services"]["migrate"]["depends_on"].values()
    } == {"service_healthy"}


def test_what_lasts_lies_in_volumes_that_are_declared() -> None:
    used = {
        volume.partition(":")[0]
        for one in COMPOSE["services"].values()
        for volume in one.get("volumes", ())
        if not volume.startswith("./mirrors:")  # the operator writes the settings of targets
    }
    assert used == set(COMPOSE["volumes"])
    for service in SERVICES:
        assert COMPOSE["services"][service]["read_only"] is True


def test_no_secret_stands_in_the_file() -> None:
    given = {
        name: value
        for one in COMPOSE["services"].values()
        for name, value in one.get("environment", {}).items()
    }
    no_secrets = {"LOG_DIR", "REGISTA_KAFKA_PUBLISHERS"}
    assert {name for name in given if not name.endswith("_FILE")} == no_secrets
    assert not re.search(
        r"(?i)(password|secret|pepper|api_key)\s*[:=]\s*\S",
        (REPOSITORY / "docker-compose.yml").read_text().replace("_FILE: /", ""),
    )


def test_postgres_is_set_up_as_on_one_machine() -> None:
    words = COMPOSE["services"]["postgres"]["command"]
    given = dict(word.split("=", 1) for before, word in itertools.pairwise(words) if before == "-c")
    assert given == {name: OF_POSTGRES[name] for name in given}
    assert {"max_locks_per_transaction", "idle_in_transaction_session_timeout"} <= given.keys()
