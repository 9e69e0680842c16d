"""The toy service as a real process beside real servers, identities for it, and short words for what the tests do."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from regista.wire.keys import SigningKey, generate_signing_key
from shared import projector
from shared.access import IdentityCreated, KeyIssued, RoleGranted
from shared.events import Actor
from shared.identities import new_api_key
from shared.postgres import Bell, connect_pool
from shared.submission import Cause, Submission
from shared.transact import Transactor
from tests.integration.edges.toy import ACCESS_SERVICE, Tell
from tests.processes import PEPPER, Running, starting


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


Toy = Running


@pytest.fixture
def start_toy(stack: Any, database: Any, tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    """Starts the toy: `start_toy(key, **settings)`; ends all of them."""
    with starting(stack, database, tmp_path) as start:

        def start_one(signing: SigningKey | None = None, **settings: str) -> Toy:
            told = {"REGISTA_PUBLIC_URLS": '{"registry": "http://here"}', **settings}
            return start("registry", signing or generate_signing_key("service:registry"), module="tests.integration.edges.toy", **told)

        yield start_one


@pytest.fixture
async def toy(start_toy: Callable[..., Toy]) -> Toy:
    """The toy without Kafka, ready."""
    toy = start_toy(TOY_KAFKA="0")
    await toy.ready()
    return toy
