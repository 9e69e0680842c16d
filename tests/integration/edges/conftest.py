"""The toy service as a real process beside real servers, identities for it, and short words for what the tests do."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from regista.wire.keys import SigningKey, generate_signing_key
from services.local.places import _free_ports
from shared import projector
from shared.access import IdentityCreated, KeyIssued, RoleGranted
from shared.events import Actor
from shared.identities import new_api_key
from shared.postgres import Bell, connect_pool
from shared.submission import Cause, Submission
from shared.transact import Transactor
from tests.integration.edges.toy import ACCESS_SERVICE, Tell

PEPPER = "pepper-of-the-tests"


@dataclass
class People:
    """Identities in the log of one database."""

    url: str
    _number: int = 0
    keys: dict[str, SigningKey] = field(default_factory=dict)
    api_keys: dict[str, str] = field(default_factory=dict)

    async def tell(self, subject: str, *events: Any) -> None:
        """Appends events to an identity's stream."""
        pool = await connect_pool(self.url, schemas=("access",), size=2)
        try:
            await projector.ensure(ACCESS_SERVICE, pool)
            bell = Bell(self.url, "access")
            transactor = Transactor(ACCESS_SERVICE, pool, bell)
            tasks = [asyncio.create_task(transactor.run()), asyncio.create_task(bell.run())]
            self._number += 1
            cause = Cause("tests", f"{time.time_ns()}-{self._number}", b"-")
            await transactor.submit(Submission(Tell(events), (f"access-{subject}",), cause, Actor("system:bootstrap")))
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await pool.close()

    async def person(self, subject: str, *roles: tuple[str, str]) -> str:
        """Registers a person with an API key and answers its text."""
        key = new_api_key(PEPPER)
        self.api_keys[subject] = key.text
        await self.tell(
            subject, IdentityCreated(subject, "person"), KeyIssued(subject, key.key_id, "hmac-sha256", key.verifier),
            *(RoleGranted(subject, role, namespace) for role, namespace in roles),
        )  # fmt: skip
        return key.text

    async def signer(self, subject: str, kind: str, *roles: tuple[str, str]) -> SigningKey:
        """Registers a publisher or service with its public key."""
        key = generate_signing_key(subject)
        self.keys[subject] = key
        await self.tell(
            subject, IdentityCreated(subject, kind), KeyIssued(subject, key.key_id, "ed25519", key.public.hex()),
            *(RoleGranted(subject, role, namespace) for role, namespace in roles),
        )  # fmt: skip
        return key


@pytest.fixture
async def people(database: Any) -> People:
    return People(database.url("registry"))


@dataclass
class Toy:
    """The toy as a process of its own."""

    child: subprocess.Popen[bytes]
    url: str
    log: Path

    def client(self, key: str = "") -> httpx.AsyncClient:
        """A client that sends the API key."""
        return httpx.AsyncClient(base_url=self.url, headers={"authorization": f"Bearer {key}"} if key else {}, timeout=30)

    async def until(self, ask: Callable[[httpx.AsyncClient], Any], seconds: float = 30.0, key: str = "") -> Any:
        """Asks until the answer is true, and answers it."""
        deadline = time.monotonic() + seconds
        async with self.client(key) as client:
            while True:
                with contextlib.suppress(httpx.TransportError):
                    if answer := await ask(client):
                        return answer
                assert time.monotonic() < deadline, self.log.read_text()[-6000:]
                assert self.child.poll() is None, self.log.read_text()[-6000:]
                await asyncio.sleep(0.05)

    async def ready(self) -> None:
        async def asked(client: httpx.AsyncClient) -> bool:
            return (await client.get("/readyz")).status_code == 200

        await self.until(asked)

    def end(self) -> int:
        """SIGTERM; answers the exit code."""
        self.child.send_signal(signal.SIGTERM)
        return self.child.wait(10)


@pytest.fixture
def start_toy(stack: Any, database: Any, tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    """Starts the toy: `start_toy(**settings)`; ends all of them."""
    children: list[subprocess.Popen[bytes]] = []

    def start(signing: SigningKey | None = None, **settings: str) -> Toy:
        number = len(children)
        key_file = tmp_path / f"key-{number}.json"
        (signing or generate_signing_key("service:registry")).save(key_file)
        port = _free_ports({"toy": 0})["toy"]
        environment = {
            **os.environ, **stack.service_environment("registry", database.name), "REGISTA_PEPPER": PEPPER,
            "REGISTA_SIGNING_KEY_FILE": str(key_file), "REGISTA_HTTP_PORT": str(port),
            "REGISTA_PUBLIC_URLS": '{"registry": "http://here"}', **settings,
        }  # fmt: skip
        log = tmp_path / f"toy-{number}.log"
        with log.open("wb") as output:
            child = subprocess.Popen([sys.executable, "-m", "tests.integration.edges.toy"], env=environment, stderr=output, stdout=output)
        children.append(child)
        return Toy(child, f"http://127.0.0.1:{port}", log)

    yield start
    for child in children:
        child.terminate()  # in order: a killed member stays in its consumer group until its session runs out
    for child in children:
        try:
            child.wait(10)
        except subprocess.TimeoutExpired:
            child.kill()
            raise


@pytest.fixture
async def toy(start_toy: Callable[..., Toy]) -> Toy:
    """The toy without Kafka, ready."""
    toy = start_toy(TOY_KAFKA="0")
    await toy.ready()
    return toy
