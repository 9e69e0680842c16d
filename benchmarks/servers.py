"""The servers and services that benchmarks run on: an instance of its own, with fresh databases on demand."""

from __future__ import annotations

import contextlib
import shutil
import socket
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass

import asyncpg
import httpx

from services.local.folders import InstanceFolder
from services.local.instance import Instance
from services.local.stack import Stack
from shared.migrate import migrate


@dataclass(frozen=True, slots=True)
class Servers:
    """The servers, and an instance whose services can be started on them."""

    instance: Instance

    @property
    def stack(self) -> Stack:
        return self.instance.stack

    @contextlib.asynccontextmanager
    async def database(self) -> AsyncIterator[str]:
        """Create a fresh database and yield its name; it is removed with the instance."""
        name = f"bench_{uuid.uuid4().hex[:8]}"
        owner = await asyncpg.connect(self.stack.owner_url())
        await owner.execute(f"CREATE DATABASE {name}")
        await migrate(self.stack.owner_url(name), self.stack.database_passwords())
        await owner.close()
        yield name

    @contextlib.contextmanager
    def running(self, *services: str) -> Iterator[dict[str, int]]:
        """Start services as processes, wait until they are ready, and yield their pids by name."""
        children = {name: self.instance.launch(name) for name in services}
        try:
            for name, child in children.items():
                _await_ready(self.instance.urls[name], child.check)
            yield {name: child.popen.pid for name, child in children.items()}
        finally:
            for child in children.values():
                child.stop()

    @contextlib.contextmanager
    def replica(self, service: str) -> Iterator[None]:
        """Start a second process of a service that runs already."""
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        child = self.instance.launch(service, HTTP_PORT=str(port))
        try:
            _await_ready(f"http://127.0.0.1:{port}", child.check)
            yield
        finally:
            child.stop()

    @property
    def admin_key(self) -> str:
        return self.instance.identities.admin_key_file.read_text().strip()

    def call(self, method: str, service: str, path: str, body: object = None) -> httpx.Response:
        """Send one request as the administrator."""
        headers = {"authorization": f"Bearer {self.admin_key}"}
        answer = httpx.request(
            method, self.instance.urls[service] + path, json=body, headers=headers, timeout=60
        )
        answer.raise_for_status()
        return answer


def _await_ready(url: str, check: object) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until:
        with contextlib.suppress(httpx.HTTPError):
            if httpx.get(url + "/readyz", timeout=2).status_code == 200:
                return
        check()  # type: ignore[operator]
        time.sleep(0.1)
    msg = f"{url} did not become ready"
    raise TimeoutError(msg)


@contextlib.contextmanager
def start_servers() -> Iterator[Servers]:
    """Start the servers for one run and remove everything afterwards."""
    instance = Instance.at(InstanceFolder.named("bench"))
    instance.choose_ports()
    try:
        instance.stack.start()
        instance.migrate()
        yield Servers(instance)
    finally:
        instance.stack.stop()
        shutil.rmtree(instance.folder.directory, ignore_errors=True)
