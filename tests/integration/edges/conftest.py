"""The toy service as a real process beside real servers, identities for it, and helpers of the tests."""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import msgspec
import pytest
from aiokafka import AIOKafkaProducer

from regista.wire.cloudevents import CloudEvent, to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey, generate_signing_key
from shared.deciding.access import IdentityCreated, KeyIssued, RoleGranted
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Submission
from shared.foundation.postgres import WakeUp, connect_pool
from shared.identity.access_view import new_api_key
from shared.log import projector
from shared.log.transact import Transactor
from tests.integration.edges.toy import ACCESS_SERVICE, TOPIC, AppendEvents
from tests.processes import PEPPER, Running, starting

Send = Callable[..., Any]


@dataclass
class People:
    """Identities in the log of one database."""

    url: str
    _number: int = 0
    keys: dict[str, SigningKey] = field(default_factory=dict)
    api_keys: dict[str, str] = field(default_factory=dict)

    async def append(self, subject: str, *events: Any) -> None:
        """Append events to an identity's stream."""
        pool = await connect_pool(self.url, schemas=("access",), size=2)
        try:
            await projector.ensure(ACCESS_SERVICE, pool)
            wake_up = WakeUp(self.url, "access")
            transactor = Transactor(ACCESS_SERVICE, pool, wake_up)
            tasks = [asyncio.create_task(transactor.run()), asyncio.create_task(wake_up.run())]
            self._number += 1
            cause = Cause("tests", f"{time.time_ns()}-{self._number}", b"-")
            await transactor.submit(
                Submission(AppendEvents(events), (f"access-{subject}",), cause, Actor("system:bootstrap"))
            )
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            await pool.close()

    async def person(self, subject: str, *roles: tuple[str, str]) -> str:
        """Register a person with an API key, and return the key."""
        key = new_api_key(PEPPER)
        self.api_keys[subject] = key.text
        await self.append(
            subject,
            IdentityCreated(subject, "person"),
            KeyIssued(subject, key.key_id, "hmac-sha256", key.verifier),
            *(RoleGranted(subject, role, namespace) for role, namespace in roles),
        )
        return key.text

    async def signer(self, subject: str, kind: str, *roles: tuple[str, str]) -> SigningKey:
        """Register a publisher or service with its public key."""
        key = generate_signing_key(subject)
        self.keys[subject] = key
        await self.append(
            subject,
            IdentityCreated(subject, kind),
            KeyIssued(subject, key.key_id, "ed25519", key.public.hex()),
            *(RoleGranted(subject, role, namespace) for role, namespace in roles),
        )
        return key


@pytest.fixture
async def people(database: Any) -> People:
    return People(database.url("registry"))


Toy = Running


@pytest.fixture
def start_toy(stack: Any, database: Any, tmp_path: Path) -> Iterator[Callable[..., Toy]]:
    """Start the toy by `start_toy(key, **settings)`; end all of them after the test."""
    with starting(stack, database, tmp_path) as start:

        def start_one(signing: SigningKey | None = None, **settings: str) -> Toy:
            environment = {"REGISTA_PUBLIC_URLS": '{"registry": "http://here"}', **settings}
            return start(
                "registry",
                signing or generate_signing_key("service:registry"),
                module="tests.integration.edges.toy",
                **environment,
            )

        yield start_one


@pytest.fixture
async def toy(start_toy: Callable[..., Toy]) -> Toy:
    """Start the toy without Kafka and wait until it is ready."""
    toy = start_toy(TOY_KAFKA="0")
    await toy.ready()
    return toy


def event(
    subject: str = "a",
    /,
    *,
    type_: str = "toy.Counted.v1",
    source: str = "/publishers/pipeline",
    id_: str = "",
    **data: Any,
) -> CloudEvent:
    data = data or {"by": 1}
    return CloudEvent(
        id_ or str(uuid.uuid4()),
        source,
        type_,
        subject,
        datetime.now(UTC).isoformat(),
        msgspec.json.encode(data),
    )


@pytest.fixture
async def publisher(people: People) -> SigningKey:
    return await people.signer("pipeline", "publisher", ("publisher", "toys"))


@pytest.fixture
async def producers(empty_kafka: Any) -> AsyncIterator[Callable[..., Any]]:
    """Return a producer by its Kafka user."""
    opened: dict[str, AIOKafkaProducer] = {}

    async def of(user: str) -> AIOKafkaProducer:
        if user not in opened:
            kafka = empty_kafka.kafka
            opened[user] = AIOKafkaProducer(
                bootstrap_servers=kafka.bootstrap,
                security_protocol="SASL_PLAINTEXT",
                sasl_mechanism="SCRAM-SHA-512",
                sasl_plain_username=user,
                sasl_plain_password=kafka.password(user),
                max_request_size=2 * 1024 * 1024,
            )
            await opened[user].start()
        return opened[user]

    yield of
    for producer in opened.values():
        await asyncio.wait_for(producer.stop(), 5)


@pytest.fixture
async def send(producers: Callable[..., Any]) -> Send:
    """Send a signed event, an unsigned event, or (value, headers)."""

    async def sent(
        what: Any,
        key: SigningKey | None = None,
        *,
        topic: str = TOPIC,
        user: str = "pipeline",
        partition: int = 0,
    ) -> None:
        if isinstance(what, CloudEvent):
            name, value, headers = to_kafka(sign(what, key) if key else what)
        else:
            (value, headers), name = what, b"raw"
        await (await producers(user)).send_and_wait(
            topic, value=value, key=name, headers=headers, partition=partition
        )

    return sent


@pytest.fixture
async def operator(people: People) -> str:
    return await people.person("otto", ("engineer", "*"))


async def total(database: Any, stream: str = "counter-a") -> int:
    connection = await asyncpg.connect(database.url("registry"))
    try:
        return await connection.fetchval(
            "SELECT count(*) FROM log.events_registry WHERE stream = $1 AND type = 'Counted'", stream
        )
    finally:
        await connection.close()


async def counted(toy: Toy, database: Any, number: int, stream: str = "counter-a") -> None:
    async def answers(_: Any) -> bool:
        return await total(database, stream) >= number

    await toy.poll(answers)
    assert await total(database, stream) == number


async def dead_letters(toy: Toy, key: str, number: int) -> list[dict[str, Any]]:
    async def answers(client: Any) -> Any:
        answer = await client.get("/v1/dlq", params={"replayed": True})
        assert answer.status_code == 200, answer.text
        return answer.json()["items"] if len(answer.json()["items"]) >= number else None

    await toy.ready()
    found = await toy.poll(answers, key=key)
    assert len(found) == number
    return found
