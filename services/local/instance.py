"""One instance of Regista on this machine: its servers, its services, their addresses and settings."""

from __future__ import annotations

import hashlib
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from services.local import kafka, postgres, s3
from services.local.identities import ADMIN, Identities
from services.local.places import REPOSITORY, Place, write_private
from services.local.processes import Child, run_to_end, spawn
from services.local.stack import Stack
from services.local.topics import SERVICES

PASSED_ON = (
    "REGISTA_LOG_LEVEL",
    "REGISTA_OTLP_ENDPOINT",
    "REGISTA_TRACE_SAMPLE",
)  # of the caller's environment; all else is the instance's own


def python_command(module: str, *arguments: str) -> list[str]:
    """A module of this project as a command of its own."""
    return [sys.executable, "-m", module, *arguments]


@dataclass(slots=True)
class Instance:
    """What `regista up` runs. Addresses are kept from start to start."""

    place: Place
    stack: Stack
    identities: Identities
    urls: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, place: Place) -> Instance:
        """The instance in that folder, whether it runs or not."""
        instance = cls(place, Stack(place), Identities(place))
        instance._set_addresses(place.read("ports.json"))
        return instance

    def choose_ports(self) -> None:
        """Ports for servers and services together, so that none is given twice."""
        self._set_addresses(
            self.place.ports(
                [*postgres.PORTS, *kafka.PORTS, *s3.PORTS, *(f"http.{name}" for name in SERVICES)]
            )
        )

    def _set_addresses(self, ports: Mapping[str, int]) -> None:
        self.stack.set_ports(ports)
        self.urls = {
            name: f"http://127.0.0.1:{ports[f'http.{name}']}" for name in SERVICES if f"http.{name}" in ports
        }

    # -- before the services
    # --------------------------------------------------------------------------------------

    def migrate(self) -> bool:
        """Brings the database to today's log and makes the first identities.

        False when both were done already, by the same code.
        """
        specification = self.place.directory / "identities.json"
        write_private(specification, json.dumps(self.identities.specification(), indent=2))
        done, wanted = self.place.read("migrated.json").get("digest"), self._set_up_digest(specification)
        if done == wanted and not self.stack.postgres.given:
            return False
        passwords = {
            f"REGISTA_PASSWORD_{name.upper()}": word for name, word in self.stack.database_passwords().items()
        }
        self._run(
            "migrate",
            python_command("shared.migrate"),
            {"REGISTA_OWNER_URL": self.stack.owner_url(), **passwords},
        )
        bootstrap = python_command("services.registry", "bootstrap", "--spec", str(specification))
        self._run("bootstrap", bootstrap, self.environment("registry"))
        self.place.write("migrated.json", {"digest": wanted})
        return True

    def _run(self, name: str, command: list[str], environment: dict[str, str]) -> None:
        run_to_end(
            command,
            log=self.place.log(name),
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
    # ----------------------------------------------------------------------------------------------

    def environment(self, service: str) -> dict[str, str]:
        """The settings of one service."""
        own = {
            "HTTP_PORT": self.urls[service].rpartition(":")[2],
            "PUBLIC_URLS": json.dumps(self.urls),
            "PEPPER_FILE": str(self.identities.pepper_file),
            "SIGNING_KEY_FILE": str(self.identities.signing_key_file(service)),
        }
        return {f"REGISTA_{name}": value for name, value in own.items()} | dict(
            self.stack.service_environment(service)
        )

    def launch(self, service: str, **settings: str) -> Child:
        """Starts a service; it waits by itself for servers that are not there yet. Call it from a thread that stays.

        `settings` replace its own: `launch("registry", HTTP_PORT="12345")` is a second replica.
        """
        asked = {name: os.environ[name] for name in PASSED_ON if name in os.environ}
        return spawn(
            service,
            python_command(f"services.{service}"),
            log=self.place.log(service),
            cwd=REPOSITORY,
            env=_without_settings()
            | asked
            | self.environment(service)
            | {f"REGISTA_{name}": value for name, value in settings.items()},
        )

    # -- for people
    # ------------------------------------------------------------------------------------------------

    @property
    def profile_file(self) -> Path:
        """What REGISTA_CONFIG must name for `regista` to reach this instance."""
        return self.place.directory / "config.toml"

    def write_profile(self) -> None:
        """A profile for everybody whose API key is kept here; the administrator's is the default."""
        lines = [f'default = "{ADMIN}"']
        for file in sorted(
            {self.identities.api_key_file(ADMIN), *self.place.folder("secrets").glob("api-key-*")}
        ):
            lines += [
                "",
                f"[profiles.{file.name.removeprefix('api-key-')}]",
                f'url = "{self.urls["registry"]}"',
                f'api_key_file = "{file}"',
            ]
        write_private(self.profile_file, "\n".join(lines) + "\n")


def passed_on() -> dict[str, str]:
    """The caller's environment but PYTHONDONTWRITEBYTECODE: with it, every process of every start compiles all sources again."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def _without_settings() -> dict[str, str]:
    """The caller's environment without its own Regista settings: they are for another process."""
    return {name: value for name, value in passed_on().items() if not name.startswith("REGISTA_")}
