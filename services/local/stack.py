"""The servers: PostgreSQL, Kafka, an object store and where wanted Keycloak, started in parallel.

`python -m services.local.stack --keep` runs them until Ctrl-C and prints their folder.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from services.kafka.needs import PUBLISHERS, NeedsWrong, bound_publishers
from services.kafka.topics import SERVICES
from services.local import azurite, kafka, keycloak, postgres, s3
from services.local.azurite import Azurite
from services.local.folders import STORES, InstanceFolder, LocalError, write_private
from services.local.kafka import SECURITY, Kafka
from services.local.keycloak import Keycloak
from services.local.postgres import OWNER, Postgres
from services.local.processes import Child, ProcessIdentity, end_all, interrupt_commands
from services.local.s3 import BUCKET, HISTORY, S3

STATE = "stack.json"
STORE = "store.json"
"""The kind of object store that an instance has. Without this file it is S3."""
SSO = "sso.json"
"""Whether an instance has an issuer. Without this file it has none."""
SERVERS = ("postgres", "kafka", *STORES, keycloak.NAME)
"""Every server that an instance may have."""


class Server(Protocol):
    """What the stack needs of a server."""

    def prepare(self) -> None: ...
    def launch(self) -> Child | None: ...
    def await_ready(self) -> None: ...


@dataclass(slots=True)
class Stack:
    """The servers of one instance.

    Call `start` and `stop` from the same thread; the servers end when that thread ends.
    """

    folder: InstanceFolder
    publishers: tuple[str, ...] = PUBLISHERS
    postgres: Postgres = field(init=False)
    kafka: Kafka = field(init=False)
    s3: S3 = field(init=False)
    azurite: Azurite = field(init=False)
    keycloak: Keycloak = field(init=False)
    children: list[Child] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.postgres = Postgres(self.folder, given=os.environ.get("REGISTA_POSTGRES_URL", ""))
        self.kafka = Kafka(self.folder, publishers=self.publishers, bound=self._bound())
        self.s3 = S3(self.folder)
        self.azurite = Azurite(self.folder)
        self.keycloak = Keycloak(self.folder)

    @property
    def store(self) -> str:
        """The kind of object store, one of STORES. It never changes: artifacts are in it."""
        return str(self.folder.read(STORE).get("store", "s3"))

    def choose_store(self, kind: str) -> None:
        """Set the kind of object store before the first start. Raises LocalError for another one later."""
        if kind == self.store:
            return
        if (self.folder.directory / "ports.json").exists():
            raise LocalError(
                f"this instance has its artifacts in {self.store}: choose another with --instance, or stop "
                f"it and delete {self.folder.directory}"
            )
        self.folder.write(STORE, {"store": kind})

    @property
    def sso(self) -> bool:
        """Whether people can sign in: the instance has an issuer."""
        return bool(self.folder.read(SSO).get("sso"))

    def choose_sso(self, *, runs: bool) -> None:
        """Let the next start, and all later ones, run an issuer, too, or none."""
        self.folder.write(SSO, {"sso": runs})

    @staticmethod
    def _bound() -> dict[str, str]:
        try:
            return bound_publishers(os.environ.get("REGISTA_KAFKA_PUBLISHERS", ""))
        except NeedsWrong as wrong:
            raise LocalError(
                f"REGISTA_KAFKA_PUBLISHERS: {wrong}: write USER=NAMESPACE, separated by commas; users have"
                " small letters, digits and dashes"
            ) from None

    def set_ports(self, ports: Mapping[str, int]) -> None:
        """Set the ports of the servers, by the names in each server's PORTS."""
        self.postgres.ports = self.kafka.ports = self.s3.ports = ports
        self.azurite.ports = self.keycloak.ports = ports

    @classmethod
    def attach(cls, directory: Path) -> Stack:
        """Return a stack that another process runs. Raises LocalError when it does not run."""
        stack = cls(InstanceFolder(directory.resolve()))
        state = stack.folder.read(STATE)
        if not state or not all(ProcessIdentity(**one).alive() for one in state["processes"]):
            raise LocalError(
                f"no servers run in {directory}: start them with "
                f"`python -m services.local.stack --keep --directory {directory}`"
            )
        stack.postgres.given = state["postgres_given"]
        stack.set_ports(stack.folder.read("ports.json"))
        return stack

    def start(self, on_ready: Callable[[str], None] = lambda _name: None) -> None:
        """Prepare the servers in parallel, start each when it is prepared, and wait for all.

        `on_ready` is called in this thread with the name of each server when it is ready. Raises LocalError
        with what to do; then no server is left running.
        """
        end_all(ProcessIdentity(**one) for one in self.folder.read(STATE).get("processes", []))
        began = time.monotonic()
        self.folder.check_space()
        self.set_ports(self.folder.ports(self.port_names))
        servers = self.servers()
        threads = ThreadPoolExecutor(len(servers))
        try:
            prepared = {threads.submit(server.prepare): name for name, server in servers.items()}
            ready = {
                self._launch(threads, prepared[one], servers[prepared[one]], one, began): prepared[one]
                for one in as_completed(prepared)
            }
            for one in as_completed(ready):
                one.result()
                on_ready(ready[one])
        except BaseException:  # also on a stop: what the threads wait for ends, so they end
            interrupt_commands()
            self.stop()
            raise
        finally:
            threads.shutdown(wait=False, cancel_futures=True)

    def _launch(
        self, threads: ThreadPoolExecutor, name: str, server: Server, prepared: Future[None], began: float
    ) -> Future[None]:
        prepared.result()
        child = server.launch()
        if child:
            self.children.append(child)
            self._record()

        def wait() -> None:
            server.await_ready()
            self.took[name] = time.monotonic() - began

        return threads.submit(wait)

    def servers(self) -> dict[str, Server]:
        """Return the servers by name: three, and the issuer where there is one."""
        store: Server = self.azurite if self.store == "azure" else self.s3
        others: dict[str, Server] = {keycloak.NAME: self.keycloak} if self.sso else {}
        return {"postgres": self.postgres, "kafka": self.kafka, self.store: store, **others}

    @property
    def port_names(self) -> tuple[str, ...]:
        """The names of the ports of the servers."""
        store = azurite.PORTS if self.store == "azure" else s3.PORTS
        return (*postgres.PORTS, *kafka.PORTS, *store, *(keycloak.PORTS if self.sso else ()))

    @property
    def store_url(self) -> str:
        """Where the object store answers."""
        return self.azurite.url if self.store == "azure" else f"http://{self.s3.endpoint}"

    def adopt(self, children: Mapping[str, Child]) -> None:
        """Replace the children by those that were started again."""
        self.children = [children.get(one.identity.name, one) for one in self.children]

    def _record(self) -> None:
        processes = [
            {"name": c.identity.name, "pid": c.identity.pid, "started": c.identity.started}
            for c in self.children
        ]
        self.folder.write(STATE, {"processes": processes, "postgres_given": self.postgres.given})

    def stop(self) -> None:
        """Stop the servers that this object started, in parallel."""
        with ThreadPoolExecutor(max(1, len(self.children))) as threads:
            list(threads.map(Child.stop, self.children))
        self.children.clear()
        (self.folder.directory / STATE).unlink(missing_ok=True)

    # -- where things are

    def owner_url(self, database: str = "regista") -> str:
        """Return the URL of the role that owns the schema and may create roles and databases.

        No superuser.
        """
        return self.postgres.url(OWNER, self.folder.secret("postgres-owner"), database)

    def database_passwords(self) -> dict[str, str]:
        """Return the passwords that `shared.migrate` sets for the services' roles, by service."""
        return {service: self.folder.secret(f"postgres-{service}") for service in SERVICES}

    def database_url(self, service: str, database: str = "regista") -> str:
        """Return the URL of one service's role."""
        return self.postgres.url(f"regista_{service}", self.folder.secret(f"postgres-{service}"), database)

    def service_environment(self, service: str, database: str = "regista") -> Mapping[str, str]:
        """Return the settings with which `python -m services.<service>` reaches the servers.

        Secrets are in files, because many tools show the environment of a process.
        """
        settings: dict[str, str | Path] = {
            "DATABASE_URL_FILE": self._url_file(service, database),
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "KAFKA_USER": service,
            "KAFKA_PASSWORD_FILE": self.folder.secret_file(f"kafka-{service}"),
            "KAFKA_SECURITY": SECURITY,
            "KAFKA_NAMESPACES": ",".join(sorted(set(self.kafka.bound.values()))),
        }
        if self.store == "azure":
            settings |= self._azure(service)
        elif service == "artifact":
            settings |= {
                "S3_ENDPOINT": self.s3.endpoint,
                "S3_ACCESS_KEY": service,
                "S3_SECRET_KEY_FILE": self.folder.secret_file(f"s3-{service}"),
                "S3_BUCKET": BUCKET,
                "S3_SECURE": "false",
            }
        elif service == "audit":
            settings |= {
                "HISTORY_S3_ENDPOINT": self.s3.endpoint,
                "HISTORY_S3_ACCESS_KEY": service,
                "HISTORY_S3_SECRET_KEY_FILE": self.folder.secret_file(f"s3-{service}"),
                "HISTORY_S3_BUCKET": HISTORY,
                "HISTORY_S3_SECURE": "false",
            }
        return {f"REGISTA_{name}": str(value) for name, value in settings.items()}

    def _azure(self, service: str) -> dict[str, str | Path]:
        """Return the settings of the store of a service, in the account of this instance."""
        part, container = {
            "artifact": ("AZURE", azurite.CONTAINER),
            "audit": ("HISTORY_AZURE", azurite.HISTORY),
        }.get(service, ("", ""))
        if not part:
            return {}
        secret = self.folder.subfolder("secrets") / "azure-connection-string"
        write_private(secret, self.azurite.connection_string)
        return {f"{part}_CONNECTION_STRING_FILE": secret, f"{part}_CONTAINER": container}

    def _url_file(self, service: str, database: str) -> Path:
        """Return the file with the URL of a service's role, which contains its password."""
        path = self.folder.subfolder("secrets") / f"url-{service}-{database}"
        write_private(path, self.database_url(service, database))
        return path


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.stack", description=__doc__)
    parser.add_argument(
        "--keep",
        action="store_true",
        help="run until Ctrl-C; without it, start, print the duration, and stop",
    )
    parser.add_argument(
        "--directory", type=Path, default=None, help="the instance's folder (default: .regista/servers)"
    )
    chosen = parser.parse_args()
    stack = Stack(
        InstanceFolder(chosen.directory.resolve()) if chosen.directory else InstanceFolder.named("servers")
    )
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        stack.start()
    except LocalError as problem:
        sys.exit(str(problem))
    try:
        print(f"ready: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in stack.took.items())}")
        print(f"REGISTA_TEST_STACK={stack.folder.directory}", flush=True)
        if chosen.keep:
            signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        stack.stop()


if __name__ == "__main__":
    main()
