"""The files in deploy/ and docker-compose.yml, as far as they can be checked without an engine."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from services.local import containers, kafka_jars
from services.local.folders import REPOSITORY
from services.local.fronts import PROCESSES
from tests import containers as containers_of_tests

COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "docker-compose.yml").read_text())
DOCKERFILE = (REPOSITORY / "deploy" / "Dockerfile").read_text()


def test_there_is_one_container_for_each_service_and_front_from_one_image() -> None:
    assert set(PROCESSES) <= set(COMPOSE["services"])
    assert {COMPOSE["services"][service]["image"] for service in PROCESSES} == {"regista"}


def test_each_service_sees_its_own_settings_only() -> None:
    targets = {"mirror": ["./mirrors:/targets:ro"]}
    for service in PROCESSES:
        own = [f"{service}:/settings:ro", *targets.get(service, ())]
        assert COMPOSE["services"][service]["volumes"] == own


def test_each_image_is_built_once() -> None:
    built = [service["image"] for service in COMPOSE["services"].values() if "build" in service]
    assert built == ["regista"]


def test_the_servers_see_neither_pepper_nor_signing_keys(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(containers, "STATE", tmp_path / "state")
    monkeypatch.setattr(containers, "SETTINGS", tmp_path / "settings")
    for server in ("postgres", "kafka", "s3"):
        (tmp_path / "settings" / server).mkdir(parents=True)
        assert COMPOSE["services"][server]["volumes"][0] == f"{server}-settings:/settings:ro"
    containers.prepare()
    given = {
        str(path.relative_to(tmp_path / "settings"))
        for path in (tmp_path / "settings").rglob("*")
        if path.is_file()
    }
    assert given == {
        "postgres/postgres-superuser",
        "kafka/server.properties",
        "kafka/cluster",
        "s3/identities.json",
        "s3/master.toml",
        "s3/security.toml",
        "s3/ca.pem",
        "s3/weed.pem",
        "s3/weed.key",
    }


def test_services_wait_for_the_set_up_and_it_for_the_servers() -> None:
    assert {
        condition["condition"]
        for service in PROCESSES
        for condition in COMPOSE["services"][service]["depends_on"].values()
    } == {"service_completed_successfully"}
    assert set(COMPOSE["services"]["migrate"]["depends_on"]) == {"postgres", "kafka", "s3"}


def test_images_of_others_are_pinned() -> None:
    for name in ("postgres", "kafka", "s3"):
        assert re.search(r":\d", COMPOSE["services"][name]["image"]), name


@pytest.mark.parametrize("name", sorted(COMPOSE["services"]))
def test_every_container_is_confined(name: str) -> None:
    """No capability, no way to more rights, no root user, a read-only root, bounded memory and processes."""
    container = COMPOSE["services"][name]
    assert container["cap_drop"] == ["ALL"]
    assert "cap_add" not in container
    assert container["security_opt"] == ["no-new-privileges:true"]
    assert container["user"] == "10001:10001"
    assert container["read_only"] is True
    assert container["tmpfs"][0] == "/tmp"  # noqa: S108 - in the container
    assert 0 < container["pids_limit"] <= 1024
    assert re.fullmatch(r"[12]g", container["mem_limit"])
    assert not container.get("privileged")


def test_the_user_of_the_containers_is_that_of_the_image() -> None:
    assert "--uid 10001" in DOCKERFILE
    assert "--gid 10001" in DOCKERFILE


def test_data_volumes_are_first_mounted_by_the_set_up_whose_folders_belong_to_that_user() -> None:
    for server in ("postgres", "kafka", "s3"):
        assert f"{server}:/data/{server}" in COMPOSE["services"]["prepare"]["volumes"]
        assert COMPOSE["services"][server]["depends_on"] == {
            "prepare": {"condition": "service_completed_successfully"}
        }
    assert re.search(r"for part in postgres kafka s3; do install -d -o regista .*/data/", DOCKERFILE)


def test_the_broker_is_one_release_everywhere_and_pinned_with_all_its_jars() -> None:
    pom = (REPOSITORY / "deploy" / "kafka" / "pom.xml").read_text()
    (release,) = re.findall(r"<artifactId>kafka_2.13</artifactId>\s*<version>([\d.]+)</version>", pom)
    assert COMPOSE["services"]["kafka"]["image"] == f"apache/kafka:{release}" == containers_of_tests.KAFKA
    versions = re.findall(r"<version>(.*?)</version>", pom)
    assert all(re.fullmatch(r"[\d.]+", version) for version in versions)
    jars = [line.split()[1] for line in kafka_jars.CHECKSUMS.read_text().splitlines()]
    assert f"kafka_2.13-{release}.jar" in jars
    assert jars == sorted(jars)


@pytest.mark.parametrize(
    ("library", "oldest"), [("lz4-java", (1, 10)), ("log4j-core", (2, 25)), ("jackson-databind", (2, 21))]
)
def test_the_broker_has_no_old_library(library: str, oldest: tuple[int, ...]) -> None:
    found = re.findall(rf" {library}-(\d+)\.(\d+)[\d.]*\.jar", kafka_jars.CHECKSUMS.read_text())
    assert [tuple(map(int, version)) >= oldest for version in found] == [True]


def test_ports_are_published_on_loopback_only() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", ())]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_the_image_does_not_run_as_root() -> None:
    assert re.findall(r"^USER (.*)$", DOCKERFILE, re.MULTILINE)[-1] == "regista"


@pytest.mark.parametrize("lock", ["dev.txt", "server.txt"])
def test_requirements_are_pinned_and_hashed_and_name_no_index(lock: str) -> None:
    text = (REPOSITORY / "deploy" / "requirements" / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    required = re.findall(r"^([a-z0-9._-]+(?:\[[a-z,]+\])?)(==)?", text, re.MULTILINE)
    assert all(pinned for _name, pinned in required)
    assert text.count("--hash=sha256:") >= len(required)


def test_what_the_server_needs_is_pinned_alike_for_developers() -> None:
    server, developers = (
        dict(
            re.findall(
                r"^([a-z0-9._-]+)(?:\[[a-z,]+\])?==(\S+)",
                (REPOSITORY / "deploy" / "requirements" / lock).read_text(),
                re.MULTILINE,
            )
        )
        for lock in ("server.txt", "dev.txt")
    )
    assert {name: developers.get(name) for name in server} == server


@pytest.mark.skipif(shutil.which("docker-compose") is None, reason="docker-compose is not installed")
def test_the_compose_file_is_valid() -> None:
    checked = subprocess.run(
        ["docker-compose", "-f", "docker-compose.yml", "config", "-q"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=False,
    )
    assert checked.returncode == 0, checked.stderr
