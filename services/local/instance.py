"""One instance of Regista on this machine: its servers, its services, their addresses and settings."""

from __future__ import annotations

import hashlib
import json
import os
import shlex
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.kafka.topics import SERVICES
from services.local import npm
from services.local.folders import REPOSITORY, InstanceFolder, write_private
from services.local.fronts import FRONTS, PROCESSES
from services.local.identities import ADMIN, READERS, Identities
from services.local.keycloak import PEOPLE
from services.local.processes import Child, run_to_end, spawn
from services.local.stack import Stack

CONSOLE_PACKAGES = REPOSITORY / "deploy" / "console"
"""The front-end packages of the console: their names, versions and digests."""
LINKS = "console-links"
"""The secret of the folder with which links to the console are made."""
PASSED_ON = (
    "REGISTA_LOG_LEVEL",
    "REGISTA_OTLP_ENDPOINT",
    "REGISTA_TRACE_SAMPLE",
)
"""What services get of the caller\'s environment; every other setting is the instance\'s own."""


def python_command(module: str, *arguments: str) -> list[str]:
    """Return the command line that runs a module of this project."""
    return [sys.executable, "-m", module, *arguments]


@dataclass(slots=True)
class Instance:
    """What `regista up` runs. Addresses stay the same from start to start."""

    folder: InstanceFolder
    stack: Stack
    identities: Identities
    urls: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, folder: InstanceFolder) -> Instance:
        """Return the instance in that folder, whether it runs or not."""
        instance = cls(folder, Stack(folder), Identities(folder))
        instance._set_addresses(folder.read("ports.json"))
        return instance

    def choose_ports(self) -> None:
        """Choose ports for servers and services together, so that none is given twice."""
        self._set_addresses(
            self.folder.ports([*self.stack.port_names, *(f"http.{name}" for name in PROCESSES)])
        )

    def _set_addresses(self, ports: Mapping[str, int]) -> None:
        self.stack.set_ports(ports)
        self.urls = {
            name: f"http://127.0.0.1:{ports[f'http.{name}']}" for name in PROCESSES if f"http.{name}" in ports
        }

    # -- before the services

    def migrate(self, *, bootstrap: bool = True) -> bool:
        """Migrate the database and, with `bootstrap`, create the first identities.

        Returns False when the same code has already done both.
        """
        specification = self.folder.directory / "identities.json"
        write_private(specification, json.dumps(self.identities.specification(), indent=2))
        done, wanted = self.folder.read("migrated.json").get("digest"), self._set_up_digest(specification)
        if done == wanted and not self.stack.postgres.given:
            return False
        owner = self.folder.subfolder("secrets") / "url-owner"
        write_private(owner, self.stack.owner_url())
        passwords = {
            f"REGISTA_PASSWORD_{name.upper()}_FILE": str(self.folder.secret_file(f"postgres-{name}"))
            for name in SERVICES
        }
        self._run(
            "migrate", python_command("shared.migrate"), {"REGISTA_OWNER_URL_FILE": str(owner), **passwords}
        )
        if not bootstrap:
            return True
        command = python_command("services.registry", "bootstrap", "--spec", str(specification))
        self._run("bootstrap", command, self.environment("registry"))
        self.folder.write("migrated.json", {"digest": wanted})
        return True

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        run_to_end(
            command,
            log=self.folder.log(name),
            timeout=120,
            cwd=REPOSITORY,
            env=_without_settings() | environment,
        )

    @staticmethod
    def _set_up_digest(specification: Path) -> str:
        sources = [
            REPOSITORY / "shared" / "migrate.py",
            *sorted((REPOSITORY / "shared" / "migrations").rglob("*.*")),
            *sorted((REPOSITORY / "services").glob("*/migrations/*.*")),
            specification,
        ]
        return hashlib.sha256(
            b"\0".join(path.read_bytes() for path in sources if path.suffix in {".py", ".sql", ".json"})
        ).hexdigest()

    # -- the services

    def environment(self, service: str) -> dict[str, str]:
        """Return the settings of one service."""
        own = {
            "HTTP_PORT": self.urls[service].rpartition(":")[2],
            "PUBLIC_URLS": json.dumps(self.urls),
        }
        if service in FRONTS:
            return _variables(own | self._of_front(service))
        own |= {
            "PEPPER_FILE": str(self.identities.pepper_file),
            "SIGNING_KEY_FILE": str(self.identities.signing_key_file(service)),
        }
        if service in READERS:
            own["MIRROR_API_KEY_FILE"] = str(self.identities.reader_key_file(service))
            own["MIRROR_TARGETS"] = str(self.folder.subfolder("mirrors"))
        return _variables(own) | dict(self.stack.service_environment(service))

    def _of_front(self, front: str) -> dict[str, str]:
        """Return the settings of one front: the console's address, its packages, and who may make links."""
        if front != "console":
            return {}
        packages = npm.folder_of(CONSOLE_PACKAGES)
        return {
            "CONSOLE_URL": self.urls[front],
            "CONSOLE_LINK_SECRET_FILE": str(self.folder.secret_file(LINKS)),
        } | ({"CONSOLE_PACKAGES": str(packages)} if packages.is_dir() else {})

    def environment_file(self, service: str) -> Path:
        """Return the file with the settings of a service that is started by hand."""
        return self.folder.directory / f"{service}.env"

    def write_environment(self, service: str) -> None:
        """Write the settings of a service as shell assignments, readable by their owner only."""
        lines = [f"{name}={shlex.quote(value)}\n" for name, value in self.environment(service).items()]
        write_private(self.environment_file(service), "".join(lines))

    def launch(self, service: str, **settings: str) -> Child:
        """Start a service. It waits for servers that are not up yet.

        Call this from a thread that does not end.

        `settings` replace its own: `launch("registry", HTTP_PORT="12345")` starts a second replica.
        """
        given = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return spawn(
            service,
            python_command(f"services.{service}"),
            log=self.folder.log(service),
            cwd=REPOSITORY,
            env=_without_settings()
            | given
            | self.environment(service)
            | {f"REGISTA_{name}": value for name, value in settings.items()},
        )

    # -- for people

    @property
    def profile_file(self) -> Path:
        """The file that REGISTA_CONFIG must name, so that `regista` reaches this instance."""
        return self.folder.directory / "config.toml"

    def write_profile(self) -> None:
        """Write a profile for each API key in the instance's folder; the administrator's is the default.

        With an issuer, each of its people has one without a key: they sign in.
        """
        lines = [f'default = "{ADMIN}"']
        for file in sorted(
            {self.identities.api_key_file(ADMIN), *self.folder.subfolder("secrets").glob("api-key-*")}
        ):
            lines += [
                "",
                f"[profiles.{file.name.removeprefix('api-key-')}]",
                f'url = "{self.urls["registry"]}"',
                f'api_key_file = "{file}"',
            ]
        for person in PEOPLE if self.stack.sso else ():
            lines += ["", f"[profiles.{person}]", f'url = "{self.urls["registry"]}"']
        write_private(self.profile_file, "\n".join(lines) + "\n")


def _variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"REGISTA_{name}": value for name, value in settings.items()}


def passed_on() -> dict[str, str]:
    """Return the caller's environment without PYTHONDONTWRITEBYTECODE.

    With it, every process compiles all sources at each start.
    """
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _without_settings() -> dict[str, str]:
    """Return the caller's environment without its Regista settings, which are for another process."""
    return {name: value for name, value in passed_on().items() if not name.startswith("REGISTA_")}
