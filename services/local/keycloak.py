"""An issuer on one machine: Keycloak, on loopback, with a few people to try sign-in."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any

from services.local.folders import LOOPBACK, REPOSITORY, InstanceFolder, LocalError, write_private
from services.local.kafka_jars import java
from services.local.keycloak_program import installed, java_command
from services.local.processes import Child, spawn

NAME = "keycloak"
PATIENCE = 240.0
"""Seconds for a start, which takes 20 s of a processor."""
PORTS = ("keycloak",)
REALM_FILE = REPOSITORY / "deploy" / "keycloak" / "realm.json"
REALM: dict[str, Any] = json.loads(REALM_FILE.read_text("utf-8"))
PEOPLE: dict[str, tuple[str, ...]] = {one["username"]: tuple(one["groups"]) for one in REALM["users"]}
"""The people of the realm, and the groups of each."""
CLIENT = str(REALM["clients"][0]["clientId"])
"""The client as which the command line signs people in."""
ROLES = {"ml-engineers": "engineer", "model-approvers": "approver", "auditors": "auditor"}
"""The role that each group has, everywhere, once the registry trusts the issuer."""
ADMIN = "admin"
"""The administrator of Keycloak itself. Without one, Keycloak offers its first caller to become it."""


@dataclass(slots=True)
class Keycloak:
    """One process with its database in the folder of the instance.

    Its realm is imported at the first start: people, groups, and the public client of the command line.
    Passwords are generated; each is in a file that only its owner reads.
    """

    folder: InstanceFolder
    ports: Mapping[str, int] = field(default_factory=dict)
    child: Child | None = None
    _program: Path = field(default=Path(), init=False)
    _java: str = field(default="", init=False)

    def prepare(self) -> None:
        """Fetch and build Keycloak into the cache once; write the settings and the realm."""
        self._java = java()
        self._program = installed(self._java)
        self.configure()
        link = self.folder.subfolder(NAME) / "lib"  # where Keycloak looks for what was built
        link.unlink(missing_ok=True)
        link.symlink_to(self._program / "lib")

    def configure(self) -> None:
        """Write the settings and the realm. Both contain passwords."""
        home = self.folder.subfolder(NAME)
        for name in ("providers", "conf"):
            self.folder.subfolder(NAME, name)
        settings = {
            "http-enabled": "true",
            "http-host": LOOPBACK,
            "http-port": str(self.ports["keycloak"]),
            "hostname": self.url,
            "bootstrap-admin-username": ADMIN,
            "bootstrap-admin-password": self.password(ADMIN),
            "log-level": "warn",
        }
        lines = [f"{name}={value}\n" for name, value in settings.items()]
        write_private(home / "conf" / "keycloak.conf", "".join(lines))
        realm = self.folder.subfolder(NAME, "data", "import") / "regista-realm.json"
        write_private(realm, json.dumps(self._realm()))

    def _realm(self) -> dict[str, Any]:
        people = [
            person
            | {
                "enabled": True,
                "email": f"{person['username']}@example.com",
                "emailVerified": True,
                "credentials": [{"type": "password", "value": self.password(person["username"])}],
            }
            for person in REALM["users"]
        ]
        return REALM | {"users": people}

    def launch(self) -> Child:
        """Start the process."""
        home = self.folder.subfolder(NAME)
        argv = [*java_command(self._java, self._program, home), "start", "--optimized", "--import-realm"]
        self.child = spawn(NAME, argv, log=self.folder.log(NAME), cwd=home)
        return self.child

    def await_ready(self, patience: float = PATIENCE) -> None:
        """Wait until the realm answers."""
        deadline = time.monotonic() + patience
        while not self._answers():
            if self.child:
                self.child.check()
            if time.monotonic() > deadline:
                raise LocalError(
                    f"Keycloak does not answer after {patience:.0f} s: read {self.folder.log(NAME)}, and "
                    "repeat; `regista up --without-sso` starts everything else"
                )
            time.sleep(0.1)

    def _answers(self) -> bool:
        connection = HTTPConnection(LOOPBACK, self.ports["keycloak"], timeout=5.0)
        try:
            connection.request("GET", f"/realms/{REALM['realm']}/.well-known/openid-configuration")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def password(self, who: str) -> str:
        """Return the password of a person of the realm, or of Keycloak's own administrator."""
        return self.folder.secret(f"{NAME}-{who}")

    def password_file(self, who: str) -> Path:
        """Return the file of that password."""
        return self.folder.secret_file(f"{NAME}-{who}")

    @property
    def url(self) -> str:
        """The address of Keycloak itself, plain HTTP."""
        return f"http://{LOOPBACK}:{self.ports['keycloak']}"

    @property
    def issuer(self) -> str:
        """The issuer of the tokens."""
        return f"{self.url}/realms/{REALM['realm']}"
