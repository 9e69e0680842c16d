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
from services.local.folders import _free_ports
from shared import run
from shared.foundation.settings import Settings
from shared.http.dispatch import Table
from shared.http.routes import Route

PEPPER = "pepper-of-the-tests"
ENDS_WITHIN = 20.0  # seconds; a process promises ten


@dataclass
class Running:
    """`child` and `log` only of a service in a process of its own."""

    url: str
    child: subprocess.Popen[bytes] | None = None
    log: Path | None = None
    routes: Sequence[Route] = ()

    def client(self, key: str = "") -> httpx.AsyncClient:
        """A client that sends the API key."""
        return httpx.AsyncClient(
            base_url=self.url, headers={"authorization": f"Bearer {key}"} if key else {}, timeout=60
        )

    async def call(self, method: str, path: str, key: str, **more: Any) -> httpx.Response:
        """One request, with an API key."""
        async with self.client(key) as client:
            answer = await client.request(method, path, **more)
        if self.routes and answer.is_success and not path.startswith("/v1/dlq"):
            found, _ = Table(self.routes).find(method, path)
            TypeAdapter(found.route.response).validate_json(
                answer.content, extra="forbid"
            )  # it is what the documentation says
        return answer

    async def get(self, path: str, key: str, **query: Any) -> Any:
        """The body of a successful GET."""
        answer = await self.call("GET", path, key, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, ask: Callable[[], Awaitable[Any]], seconds: float = 40.0) -> Any:
        """Asks until the answer is true, and answers it; no longer than the process lives."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                if answer := await ask():
                    return answer
            assert time.monotonic() < deadline, self.said()
            assert self.child is None or self.child.poll() is None, self.said()
            await asyncio.sleep(0.03)

    async def asking(
        self, ask: Callable[[httpx.AsyncClient], Awaitable[Any]], seconds: float = 40.0, key: str = ""
    ) -> Any:
        """As `until`, with a client of that API key."""
        async with self.client(key) as client:
            return await self.until(lambda: ask(client), seconds)

    async def ready(self) -> None:
        async with httpx.AsyncClient(base_url=self.url, timeout=60) as client:

            async def asked() -> bool:
                return (await client.get("/readyz")).status_code == 200

            await self.until(asked)

    def said(self) -> str:
        """The end of its log."""
        return self.log.read_text()[-6000:] if self.log else "nothing came of it"

    def end(self) -> int:
        """Asks it to end; answers the exit code."""
        assert self.child is not None
        self.child.terminate()
        return self.child.wait(ENDS_WITHIN)

    def kill(self) -> None:
        """As a power cut would."""
        assert self.child is not None
        self.child.kill()
        self.child.wait(ENDS_WITHIN)


R = TypeVar("R", bound=Running)


@dataclass
class Starter:
    """Starts services on one database, each with a port, a key file and a log of its own."""

    stack: Any
    database: Any
    folder: Path
    started: list[subprocess.Popen[bytes]] = field(default_factory=list)
    numbers: Iterator[int] = field(default_factory=itertools.count)

    def environment(self, service: str, key: SigningKey, **settings: str) -> dict[str, str]:
        """The settings of one process; `settings` are whole variables and replace what else would be told."""
        port = _free_ports({"http": 0})["http"]
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
        """Starts `services.<service>` (or `module`, as that service) and does not wait."""
        told = self.environment(service, key, **settings)
        log = self.folder / f"{service}-{len(self.started)}.log"
        with log.open("wb") as output:
            child = subprocess.Popen(
                [sys.executable, "-m", module or f"services.{service}"],
                env=os.environ | told,
                stderr=output,
                stdout=output,
            )
        self.started.append(child)
        return kind(f"http://127.0.0.1:{told['REGISTA_HTTP_PORT']}", child, log)


@contextlib.contextmanager
def starting(stack: Any, database: Any, folder: Path) -> Iterator[Starter]:
    """End all processes in order: a killed member stays in its consumer group until its session ends."""
    starter = Starter(stack, database, folder)
    try:
        yield starter
    finally:
        deaf = _ended(starter.started)
        if any(child.returncode < 0 for child in starter.started):
            _await_empty_groups(stack)
    assert not deaf, f"{deaf} of {len(starter.started)} processes had to be killed"


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


def _ended(children: list[subprocess.Popen[bytes]]) -> int:
    """Ends them; answers how many did not by themselves."""
    deaf = 0
    for child in children:
        child.terminate()
    for child in children:
        try:
            child.wait(ENDS_WITHIN)
        except subprocess.TimeoutExpired:
            deaf += 1
            child.kill()
            child.wait(ENDS_WITHIN)
    return deaf


def _await_empty_groups(stack: Any) -> None:
    """The next test wants the groups empty."""
    admin, deadline = stack.kafka.admin(), time.monotonic() + 30
    groups = [group.group_id for group in admin.list_consumer_groups().result(10).valid]
    while (
        groups
        and any(f.result(10).members for f in admin.describe_consumer_groups(groups).values())
        and time.monotonic() < deadline
    ):
        time.sleep(0.2)
