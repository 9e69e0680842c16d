"""The three servers together: PostgreSQL, Kafka and S3, started side by side, ended in order.

`python -m services.local.stack --keep` runs them until Ctrl-C and prints where they are.
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

from services.local import kafka, postgres, s3
from services.local.kafka import SECURITY, Kafka
from services.local.places import LocalError, Place
from services.local.postgres import OWNER, Postgres
from services.local.processes import Child, Identity, end_all, interrupt_commands
from services.local.s3 import BUCKET, HISTORY, S3
from services.local.topics import PUBLISHERS, SERVICES

STATE = "stack.json"


class Server(Protocol):
    """What the stack needs of each of the three."""

    def prepare(self) -> None: ...
    def launch(self) -> Child | None: ...
    def await_ready(self) -> None: ...


@dataclass(slots=True)
class Stack:
    """The servers of one instance.

    `start` and `stop` from the same, lasting thread: the servers end when that thread does.
    """

    place: Place
    publishers: tuple[str, ...] = PUBLISHERS
    postgres: Postgres = field(init=False)
    kafka: Kafka = field(init=False)
    s3: S3 = field(init=False)
    children: list[Child] = field(default_factory=list)
    took: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.postgres = Postgres(self.place, given=os.environ.get("REGISTA_POSTGRES_URL", ""))
        self.kafka = Kafka(self.place, publishers=self.publishers)
        self.s3 = S3(self.place)

    def set_ports(self, ports: Mapping[str, int]) -> None:
        """Where the servers listen, by the names in each server's PORTS."""
        self.postgres.ports = self.kafka.ports = self.s3.ports = ports

    @classmethod
    def attach(cls, directory: Path) -> Stack:
        """A stack that another process runs; raises LocalError when it does not."""
        stack = cls(Place(directory.resolve()))
        state = stack.place.read(STATE)
        if not state or not all(Identity(**one).alive() for one in state["processes"]):
            raise LocalError(
                f"no servers run in {directory}: start them with `python -m services.local.stack --keep --directory {directory}`"
            )
        stack.postgres.given = state["postgres_given"]
        stack.set_ports(stack.place.read("ports.json"))
        return stack

    def start(self, on_ready: Callable[[str], None] = lambda _name: None) -> None:
        """Prepares the three side by side, starts each from this thread as soon as it is prepared, waits for all.

        `on_ready` is called in this thread with the name of each as it gets ready, while the others still
        start. Raises LocalError with what to do; then nothing is left running.
        """
        end_all(Identity(**one) for one in self.place.read(STATE).get("processes", []))
        began = time.monotonic()
        self.set_ports(self.place.ports([*postgres.PORTS, *kafka.PORTS, *s3.PORTS]))
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
        except BaseException:  # also when asked to stop: what the threads wait for ends, so they end
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
            self._remember()

        def wait() -> None:
            server.await_ready()
            self.took[name] = time.monotonic() - began

        return threads.submit(wait)

    def servers(self) -> dict[str, Server]:
        """The three by name."""
        return {"postgres": self.postgres, "kafka": self.kafka, "s3": self.s3}

    def adopt(self, children: Mapping[str, Child]) -> None:
        """Takes over servers that were started again."""
        self.children = [children.get(one.identity.name, one) for one in self.children]

    def _remember(self) -> None:
        processes = [
            {"name": c.identity.name, "pid": c.identity.pid, "started": c.identity.started}
            for c in self.children
        ]
        self.place.write(STATE, {"processes": processes, "postgres_given": self.postgres.given})

    def stop(self) -> None:
        """Ends the servers this object started, side by side."""
        with ThreadPoolExecutor(max(1, len(self.children))) as threads:
            list(threads.map(Child.stop, self.children))
        self.children.clear()
        (self.place.directory / STATE).unlink(missing_ok=True)

    # -- where things are
    # ------------------------------------------------------------------------------------------

    def owner_url(self, database: str = "regista") -> str:
        """For migrations: a role that owns the schema and may create roles and databases; no superuser."""
        return self.postgres.url(OWNER, self.place.secret("postgres-owner"), database)

    def database_passwords(self) -> dict[str, str]:
        """What `shared.migrate` gives the services' roles, by service name."""
        return {service: self.place.secret(f"postgres-{service}") for service in SERVICES}

    def database_url(self, service: str, database: str = "regista") -> str:
        """The URL of one service's own role."""
        return self.postgres.url(f"regista_{service}", self.place.secret(f"postgres-{service}"), database)

    def service_environment(self, service: str, database: str = "regista") -> Mapping[str, str]:
        """The settings by which `python -m services.<service>` finds the servers."""
        settings = {
            "DATABASE_URL": self.database_url(service, database),
            "KAFKA_BOOTSTRAP": self.kafka.bootstrap,
            "KAFKA_USER": service,
            "KAFKA_PASSWORD": self.kafka.password(service),
            "KAFKA_SECURITY": SECURITY,
        }
        if service == "artifact":
            settings |= {
                "S3_ENDPOINT": self.s3.endpoint,
                "S3_ACCESS_KEY": service,
                "S3_SECRET_KEY": self.place.secret(f"s3-{service}"),
                "S3_BUCKET": BUCKET,
                "S3_SECURE": "false",
            }
        if service == "audit":
            settings |= {
                "HISTORY_S3_ENDPOINT": self.s3.endpoint,
                "HISTORY_S3_ACCESS_KEY": service,
                "HISTORY_S3_SECRET_KEY": self.place.secret(f"s3-{service}"),
                "HISTORY_S3_BUCKET": HISTORY,
                "HISTORY_S3_SECURE": "false",
            }
        return {f"REGISTA_{name}": value for name, value in settings.items()}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.stack", description=__doc__)
    parser.add_argument(
        "--keep",
        action="store_true",
        help="run until Ctrl-C; without it, start, say how long it took, and stop",
    )
    parser.add_argument(
        "--directory", type=Path, default=None, help="the instance's folder (default: .regista/servers)"
    )
    chosen = parser.parse_args()
    stack = Stack(Place(chosen.directory.resolve()) if chosen.directory else Place.named("servers"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    try:
        stack.start()
    except LocalError as problem:
        sys.exit(str(problem))
    try:
        print(f"ready: {', '.join(f'{name} {seconds:.1f} s' for name, seconds in stack.took.items())}")
        print(f"REGISTA_TEST_STACK={stack.place.directory}", flush=True)
        if chosen.keep:
            signal.pause()
    except KeyboardInterrupt:
        pass
    finally:
        stack.stop()


if __name__ == "__main__":
    main()
