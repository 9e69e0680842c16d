"""A whole Regista with a real Keycloak, started once, and the command line as its people."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from regista.client.profile import Profile, read_profile
from regista.client.sync_client import Client
from services.local import lifecycle
from services.local.folders import InstanceFolder, LocalError
from services.local.instance import Instance
from services.local.kafka_jars import java
from services.local.keycloak import ADMIN, REALM
from services.local.keycloak_program import installed

REGISTA = str(Path(sys.executable).with_name("regista"))
BROWSER = Path(__file__).with_name("browser.py")


@dataclass
class Office:
    """A running Regista and the issuer of its people."""

    instance: Instance
    shown: str
    """What `regista up --with-sso` printed."""
    admin: httpx.Client
    """For Keycloak's own API."""

    @property
    def keycloak(self) -> Any:
        return self.instance.stack.keycloak

    def profile(self, who: str) -> Profile:
        return read_profile(who, {"REGISTA_CONFIG": str(self.instance.profile_file)})

    def start(self, who: str, *words: str) -> subprocess.Popen[str]:
        """The command line under the profile of a person, whose browser fills Keycloak's forms."""
        own = {name: value for name, value in os.environ.items() if not name.startswith("REGISTA_")}
        settings = {
            "REGISTA_CONFIG": str(self.instance.profile_file),
            "BROWSER": f"{sys.executable} {BROWSER} %s &",
            "SIGN_IN_AS": who,
            "PASSWORD_FILE": str(self.keycloak.password_file(who)),
        }
        return subprocess.Popen(
            [REGISTA, "--profile", who, *words],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=own | settings,
        )

    def run(self, who: str, *words: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        process = self.start(who, *words)
        output, errors = process.communicate(timeout=90)
        return subprocess.CompletedProcess(words, process.returncode, output, errors)

    def json(self, who: str, *words: str) -> Any:
        """The JSON that a command prints."""
        done = self.run(who, *words, "--json")
        assert done.returncode == 0, (words, done.stdout, done.stderr)
        return json.loads(done.stdout)

    def publisher(self, folder: Path) -> Profile:
        """A pipeline with an API key of its own."""
        with Client(self.profile("admin")) as admin:
            admin.create_identity("publisher:nightly", "publisher", name="Nightly")
            admin.grant("publisher:nightly", "publisher", "*")
            key = admin.issue_key("publisher:nightly")["api_key"]
        return replace(self.profile("admin"), api_key=key, cache_dir=str(folder / "cache"), usage_window=0)

    def signed_in(self, who: str) -> None:
        """This person is signed in, with tokens that are valid for a while."""
        done = self.run(who, "login")
        assert done.returncode == 0, done.stderr

    # -- Keycloak's administration

    def administer(self, method: str, path: str, body: Any = None) -> Any:
        """Send a request to Keycloak's own API as its administrator."""
        token = self.admin.post(
            f"{self.keycloak.url}/realms/master/protocol/openid-connect/token",
            data={
                "grant_type": "password",
                "client_id": "admin-cli",
                "username": ADMIN,
                "password": self.keycloak.password(ADMIN),
            },
        ).raise_for_status()
        answer = self.admin.request(
            method,
            f"{self.keycloak.url}/admin/realms/{REALM['realm']}{path}",
            json=body,
            headers={"Authorization": f"Bearer {token.json()['access_token']}"},
        ).raise_for_status()
        return answer.json() if answer.content else None

    def id_of(self, who: str) -> str:
        (found,) = self.administer("GET", f"/users?username={who}&exact=true")
        return str(found["id"])

    def group_of(self, name: str) -> str:
        return str(next(g["id"] for g in self.administer("GET", "/groups") if g["name"] == name))


@pytest.fixture(scope="session")
def office() -> Iterator[Office]:
    """What `regista up --with-sso` starts. Fetches and builds Keycloak when no test has before."""
    try:
        installed(java())
    except LocalError as missing:
        pytest.skip(f"Keycloak cannot be fetched: {missing}")
    folder = InstanceFolder.named(f"test-{os.getpid()}-signin")
    try:
        done = subprocess.run(
            [REGISTA, "up", "--with-sso", "--instance", str(folder.directory), "--patience", "180"],
            capture_output=True,
            text=True,
            check=False,
            timeout=280,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with httpx.Client(timeout=30) as admin:
            yield Office(Instance.at(folder), done.stdout, admin)
    finally:
        lifecycle.stop(folder)
        shutil.rmtree(folder.directory, ignore_errors=True)


@pytest.fixture(autouse=True)
def _configuration(office: Office, monkeypatch: pytest.MonkeyPatch) -> None:
    """Sign-ins are kept beside the configuration of the instance, for this process as for the commands."""
    monkeypatch.setenv("REGISTA_CONFIG", str(office.instance.profile_file))
