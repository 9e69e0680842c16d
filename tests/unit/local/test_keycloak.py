"""Keycloak of an instance: what is written before it starts, and where it comes from."""

from __future__ import annotations

import hashlib
import json
import re
import stat
from pathlib import Path

import pytest

from services.local import keycloak_program
from services.local.folders import InstanceFolder, LocalError
from services.local.keycloak import PEOPLE, REALM, REALM_FILE, ROLES, Keycloak
from services.local.stack import Stack


@pytest.fixture
def prepared(tmp_path: Path) -> Keycloak:
    """Settings and realm are written; nothing runs."""
    found = Keycloak(InstanceFolder(tmp_path / "main"), {"keycloak": 21234})
    found.configure()
    return found


def test_the_realm_in_the_repository_has_no_secret() -> None:
    assert not re.search("password|secret|credential", REALM_FILE.read_text())


def test_people_have_generated_passwords_in_files_of_their_owner(prepared: Keycloak) -> None:
    realm = prepared.folder.directory / "keycloak" / "data" / "import" / "regista-realm.json"
    users = {
        one["username"]: one["credentials"][0]["value"] for one in json.loads(realm.read_text())["users"]
    }
    assert users == {who: prepared.password_file(who).read_text() for who in PEOPLE}
    assert len(set(users.values())) == len(PEOPLE)
    for file in (realm, prepared.password_file("ann"), realm.parents[2] / "conf" / "keycloak.conf"):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_keycloak_listens_on_loopback_and_has_an_administrator(prepared: Keycloak) -> None:
    settings = (prepared.folder.directory / "keycloak" / "conf" / "keycloak.conf").read_text()
    assert "http-host=127.0.0.1\n" in settings
    assert f"bootstrap-admin-password={prepared.password('admin')}\n" in settings


def test_the_client_of_the_command_line_needs_pkce_and_has_no_secret() -> None:
    (client,) = [one for one in REALM["clients"] if one["clientId"] == "regista-cli"]
    assert client["publicClient"] is True
    assert client["directAccessGrantsEnabled"] is False
    assert client["attributes"]["pkce.code.challenge.method"] == "S256"


def test_each_group_of_the_realm_has_a_role() -> None:
    assert {one["name"] for one in REALM["groups"]} == ROLES.keys()
    assert {group for groups in PEOPLE.values() for group in groups} <= ROLES.keys()


def test_an_instance_has_an_identity_provider_once_it_was_added(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path)
    assert "keycloak" not in Stack(folder).servers()
    Stack(folder).choose_sso(runs=True)
    assert "keycloak" in Stack(folder).servers()
    assert "keycloak" in Stack(folder).port_names


def test_an_instance_starts_without_its_identity_provider_again(tmp_path: Path) -> None:
    folder = InstanceFolder(tmp_path)
    Stack(folder).choose_sso(runs=True)
    Stack(folder).choose_sso(runs=False)
    assert "keycloak" not in Stack(folder).servers()


def test_a_distribution_that_is_not_the_pinned_one_is_not_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTA_HOME", str(tmp_path))
    maven = tmp_path / "mvn"
    maven.write_text(
        '#!/bin/sh\nfor a in "$@"; do case $a in -DoutputDirectory=*) mkdir -p "${a#*=}"; '
        'printf other > "${a#*=}/keycloak-quarkus-dist-26.7.3.zip";; esac; done\n'
    )
    maven.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")
    with pytest.raises(LocalError, match=r"keycloak\.sha256: keycloak-quarkus-dist.*It is not used"):
        keycloak_program.installed("java")
    assert not [path for path in (tmp_path / "cache").iterdir() if path.is_dir()]


def test_without_maven_the_error_names_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("REGISTA_HOME", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(LocalError, match=r"to fetch Keycloak, install Maven"):
        keycloak_program.installed("java")


def test_the_checksum_is_that_of_the_version_in_the_pom() -> None:
    (version,) = re.findall(r"<version>(26[\d.]+)</version>", keycloak_program.POM.read_text())
    digest, name = keycloak_program.CHECKSUM.read_text().split()
    assert name == f"keycloak-quarkus-dist-{version}.zip"
    assert len(digest) == len(hashlib.sha256().hexdigest())
