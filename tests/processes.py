"""Run a service beside real servers, in a process of its own or in that of the test."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import itertools
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import httpx
from pydantic import TypeAdapter

from regista.wire.keys import SigningKey
from services.local.folders import free_ports
from shared import run
from shared.foundation.settings import Settings
from shared.http.dispatch import Table
from shared.http.routes import Route

PEPPER = "pepper-of-the-tests"
ENDS_WITHIN = 20.0  # seconds; a process promises ten


@dataclass
class Running:
    """A running service. Only one in its own process has `child` and `log`."""

    url: str
    child: subprocess.Popen[bytes] | None = None
    log: Path | None = None
    routes: Sequence[Route] = ()

    def client(self, key: str = "") -> httpx.AsyncClient:
        """Return a client that sends the API key."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {key}"} if key else {}, timeout=60
        )

    async def call(self, method: str, path: str, key: str, **more: Any) -> httpx.Response:
        """Send one request with an API key. Check a successful answer against its documented shape."""
        async with self.client(key) as client:
            answer = await client.request(method, path, **more)
        if self.routes and answer.is_success and not path.startswith("/v1/dlq"):
            found, _ = Table(self.routes).find(method, path)
            TypeAdapter(found.route.response).validate_json(answer.content, extra="forbid")
        return answer

    async def get(self, path: str, key: str, **query: Any) -> Any:
        """Return the body of a successful GET."""
        answer = await self.call("GET", path, key, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, query: Callable[[], Awaitable[Any]], seconds: float = 40.0) -> Any:
        """Repeat the query until its answer is true, and return it. Fail when the process ends."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                if answer := await query():
                    return answer
            assert time.monotonic() < deadline, self.output()
            assert self.child is None or self.child.poll() is None, self.output()
            await asyncio.sleep(0.03)

    async def poll(
        self, query: Callable[[httpx.AsyncClient], Awaitable[Any]], seconds: float = 40.0, key: str = ""
    ) -> Any:
        """Repeat a query as `until` does, with a client that sends the API key."""
        async with self.client(key) as client:
            return await self.until(lambda: query(client), seconds)

    async def ready(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:

            async def answers() -> bool:
                return (await client.get("/readyz")).status_code == 200

            await self.until(answers)

    def output(self) -> str:
        """Return the end of the log."""
        return self.log.read_text()[-6000:] if self.log else "there is no log"

    def end(self) -> int:
        """Terminate the process and return its exit code."""
        assert self.child is not None
        self.child.terminate()
        return self.child.wait(ENDS_WITHIN)

    def kill(self) -> None:
        """Kill the process, as a power cut does."""
        assert self.child is not None
        self.child.kill()
        self.child.wait(ENDS_WITHIN)


R = TypeVar("R", bound=Running)


@dataclass
class Starter:
    """Start services on one database, each with its own port, key file and log."""

    stack: Any
    database: Any
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def environment(self, service: str, key: SigningKey, **settings: str) -> dict[str, str]:
        """Return the environment of one process; `settings` are whole variables and replace others."""
        port = free_ports({"http": 0})["http"]
        key_file = self.folder / f"{service}-{next(self.numbers)}.json"
        key.save(key_file)
        own = {"PEPPER": PEPPER, "SIGNING_KEY_FILE": str(key_file), "HTTP_PORT": str(port)}
        return {
            **self.stack.service_environment(service, self.database.name),
            **{f"REGISTA_{k}": v for k, v in own.items()},
            **settings,
        }

    def __call__(
        self, service: str, key: SigningKey, kind: type[R] = Running, module: str = "", **settings: str
    ) -> R:  # type: ignore[assignment]
        """Start `services.<service>` (or `module`, as that service) without waiting until it is ready."""
        environment = self.environment(service, key, **settings)
        log = self.folder / f"{service}-{len(self.started)}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", module or f"services.{service}"],
                env=os.environ | environment,
                stderr=output,
                stdout=output,
            )
        self.started.append(child)
        return kind(f"http://127.0.0.1:{environment['REGISTA_HTTP_PORT']}", child, log)


@contextlib.contextmanager
def starting(stack: Any, database: Any, folder: Path) -> Iterator[Starter]:
    """End all processes in order: a killed member stays in its consumer group until its session ends."""
    starter = Starter(stack, database, folder)
    try:
        yield starter
    finally:
        stuck = _end_all(starter.started)
        if any(child.returncode < 0 for child in starter.started):
            _await_empty_groups(stack)
    assert not stuck, f"{stuck} of {len(starter.started)} processes had to be killed"


@contextlib.asynccontextmanager
async def running_here(
    stack: Any, database: Any, folder: Path, service: str, key: SigningKey
) -> AsyncIterator[Running]:
    """Run the service on the event loop of the test: a process of its own would take seconds to import."""
    settings = Settings.from_environment(
        Starter(stack, database, folder, numbers=itertools.count(1000)).environment(service, key)
    )
    app = run.App(service, settings)
    process = importlib.import_module(f"services.{service}.service").process(app)
    running = run.RunningProcess(app, process)
    task = asyncio.create_task(running.run())
    here = Running(f"http://127.0.0.1:{settings.http_port}", routes=process.routes)
    try:
        await here.ready()
        yield here
    finally:
        running.stop.set()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 15)


def _end_all(children: list[subprocess.Popen[bytes]]) -> int:
    """Terminate the processes. Return how many had to be killed."""
    stuck = 0
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            stuck += 1
            child.kill()
            child.wait(ENDS_WITHIN)
    return stuck


def _await_empty_groups(stack: Any) -> None:
    """Wait until no consumer group has members: the next test expects empty groups."""
    admin, deadline = stack.kafka.admin(), time.monotonic() + 30
    groups = [group.group_id for group in admin.list_consumer_groups().result(10).valid]
    while (
        groups
        and any(f.result(10).members for f in admin.describe_consumer_groups(groups).values())
        and time.monotonic() < deadline
    ):
        time.sleep(0.2)
