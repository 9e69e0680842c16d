"""A service beside real servers, in the test's own process or in one that can be killed, with short words for what tests do to it."""

from __future__ import annotations

import asyncio
import contextlib
import importlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from pydantic import TypeAdapter

from regista.wire.keys import SigningKey
from services.local.places import _free_ports
from shared import run
from shared.application import Table
from shared.settings import Settings
from shared.web import Route
from tests.integration.edges.conftest import PEPPER


@dataclass
class Running:
    """`child` and `log` only of a service in a process of its own."""

    url: str
    child: subprocess.Popen[bytes] | None = None
    log: Path | None = None
    routes: Sequence[Route] = ()

    async def call(self, method: str, path: str, key: str, **more: Any) -> httpx.Response:
        """One request, with an API key."""
        async with httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {key}"}, timeout=30) as client:
            answer = await client.request(method, path, **more)
        if self.routes and answer.is_success and not path.startswith("/v1/dlq"):
            found, _ = Table(self.routes).find(method, path)
            TypeAdapter(found.route.response).validate_json(answer.content, extra="forbid")  # it is what the documentation says
        return answer

    async def get(self, path: str, key: str, **query: Any) -> Any:
        """The body of a successful GET."""
        answer = await self.call("GET", path, key, params=query)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def until(self, ask: Callable[[], Awaitable[Any]], seconds: float = 30.0) -> Any:
        """Asks until the answer is true, and answers it."""
        deadline = time.monotonic() + seconds
        while True:
            with contextlib.suppress(httpx.TransportError):
                if answer := await ask():
                    return answer
            assert time.monotonic() < deadline, self.log.read_text()[-6000:] if self.log else "nothing came of it"
            await asyncio.sleep(0.05)

    async def ready(self) -> None:
        async def asked() -> bool:
            async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
                return (await client.get("/readyz")).status_code == 200

        await self.until(asked)

    def kill(self) -> None:
        """As a power cut would."""
        assert self.child is not None
        self.child.send_signal(signal.SIGKILL)
        self.child.wait(10)


@contextlib.asynccontextmanager
async def running_here(stack: Any, database: Any, folder: Path, service: str, key: SigningKey) -> AsyncIterator[Running]:
    """The service as it always runs, but on the test's own event loop: a process would take seconds to import."""
    key_file = folder / f"{service}-here.json"
    key.save(key_file)
    port = _free_ports({"http": 0})["http"]
    settings = Settings.from_environment({
        **stack.service_environment(service, database.name), "REGISTA_PEPPER": PEPPER, "REGISTA_SIGNING_KEY_FILE": str(key_file),
        "REGISTA_HTTP_PORT": str(port),
    })  # fmt: skip
    app = run.App(service, settings)
    process = importlib.import_module(f"services.{service}.service").process(app)
    running = run.Running(app, process)
    task = asyncio.create_task(running.run())
    here = Running(f"http://127.0.0.1:{port}", routes=process.routes)
    try:
        await here.ready()
        yield here
    finally:
        running.stop.set()
        await asyncio.wait_for(asyncio.gather(task, return_exceptions=True), 15)


@contextlib.contextmanager
def starting(stack: Any, database: Any, folder: Path) -> Iterator[Callable[[str, SigningKey], Running]]:
    """Yields `start(service, signing key)`; ends all that were started."""
    children: list[subprocess.Popen[bytes]] = []

    def start(service: str, key: SigningKey) -> Running:
        number = len(children)
        key_file = folder / f"{service}-{number}.json"
        key.save(key_file)
        port = _free_ports({"http": 0})["http"]
        environment = {
            **os.environ, **stack.service_environment(service, database.name), "REGISTA_PEPPER": PEPPER,
            "REGISTA_SIGNING_KEY_FILE": str(key_file), "REGISTA_HTTP_PORT": str(port),
        }  # fmt: skip
        log = folder / f"{service}-{number}.log"
        with log.open("wb") as output:
            child = subprocess.Popen([sys.executable, "-m", f"services.{service}"], env=environment, stderr=output, stdout=output)
        children.append(child)
        return Running(f"http://127.0.0.1:{port}", child, log)

    yield start
    for child in children:
        child.terminate()
    for child in children:
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(10)
        if child.poll() is None:
            child.kill()
            child.wait(10)
    if any(child.returncode < 0 for child in children):
        _await_empty_groups(stack)


def _await_empty_groups(stack: Any) -> None:
    """A killed member stays in its consumer group until its session runs out; the next test wants the groups empty."""
    admin, deadline = stack.kafka.admin(), time.monotonic() + 30
    groups = [group.group_id for group in admin.list_consumer_groups().result(10).valid]
    while groups and any(f.result(10).members for f in admin.describe_consumer_groups(groups).values()) and time.monotonic() < deadline:
        time.sleep(0.2)
