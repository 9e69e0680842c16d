"""Declare subscriptions (topic, handlers, allowed signers), and start and stop clients of Kafka.

shared/messaging/authenticity.py checks what is authentic, shared/messaging/consumer.py runs the handlers, and
shared/messaging/dead_letters.py keeps what can never be accepted.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import ssl
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any, Protocol, TypeAlias

from aiokafka import AIOKafkaProducer, ConsumerRecord
from aiokafka.errors import KafkaTimeoutError
from pydantic import ValidationError

from regista.wire.cloudevents import CloudEvent, utc
from regista.wire.limits import DATA_BYTES
from shared.deciding.access import covers
from shared.deciding.events import Actor, Source, storable
from shared.deciding.submission import Cause, Submission
from shared.foundation.settings import Settings
from shared.foundation.shape_errors import problem_of
from shared.identity.public_keys import Signer
from shared.messaging.aiokafka_seam import abandon

log = logging.getLogger(__name__)


ANSWER_WITHIN = 60.0
"""Time limit for Kafka's answer to a producer, in seconds: aiokafka itself has none."""
LARGEST = 3 * 1024 * 1024
"""Maximum size of a request to the broker, in bytes. It is below the broker's `message.max.bytes`."""


Record: TypeAlias = "ConsumerRecord[bytes | None, bytes | None]"


class Client(Protocol):
    """A producer or consumer of aiokafka, or a broker of FastStream."""

    async def stop(self) -> None:
        """Close all connections."""


class Malformed(Exception):  # noqa: N818 - a fault of the message
    """The message can never be accepted as it is. It becomes a dead letter with this reason."""

    @classmethod
    def in_shape(cls, wrong: ValidationError) -> Malformed:
        """Return one line with up to twenty errors of a message's data."""
        errors = wrong.errors(include_url=False, include_input=False)
        return cls(
            "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or 'data'}: {problem_of(e)}" for e in errors[:20]
            )
        )


@dataclass(frozen=True)
class Received:
    """An authentic message. `signer` is the verified subject and `kind` its kind of identity.

    `started_by`: who started the job that signed it, "" for a key of no job.
    """

    event: CloudEvent
    signer: str
    kind: str
    topic: str
    partition: int
    offset: int
    trace: str = ""
    key_id: str = ""
    started_by: str = ""

    @cached_property
    def data(self) -> dict[str, Any]:
        """The decoded JSON object of `event.data`, decoded at the first access.

        Raises Malformed for anything else.
        """
        try:
            decoded = storable(self.event.data)
        except ValueError as error:
            raise Malformed(f"the data is not JSON that can be stored: {error}") from None
        if not isinstance(decoded, dict):
            raise Malformed(f"the data must be a JSON object, not {type(decoded).__name__}")
        return decoded

    @property
    def actor(self) -> Actor:
        """The signer as an actor, with the key it signed with."""
        return Actor(self.signer, method=f"signature:{self.key_id}", on_behalf_of=self.started_by or None)

    @property
    def source(self) -> Source:
        """The stream and revision of another service's event.

        Raises Malformed without the extension `revision`.
        """
        e = self.event
        try:
            return Source(
                e.source.removeprefix("/regista/"), e.subject, int(e.extensions["revision"]), e.type, e.id
            )
        except (KeyError, ValueError):
            raise Malformed("the extension `revision` is missing or not a number") from None

    @property
    def leaf(self) -> str:
        """The hex leaf of that event in the log, or "" when its service did not send it."""
        return self.event.extensions.get("leaf", "")

    def cause(self, part: str = "") -> Cause:
        """Return the cause of its commands. Each of several commands of one message needs its own `part`."""
        e = self.event
        return Cause(
            source=e.source,
            id=f"{e.id}/{part}" if part else e.id,
            digest=hashlib.sha256(e.type.encode() + b"\n" + e.data).digest(),
            correlation_id=e.extensions.get("correlationid", "") or e.id,
            causation_id=e.id,
            occurred_at=datetime.fromisoformat(utc(e.time)),
            trace=self.trace,
        )


Prepare = Callable[[Received], Awaitable[Sequence[Submission]]]
MaySend = Callable[[Signer, CloudEvent], bool]


@dataclass(frozen=True, slots=True)
class Handler:
    """Turns messages of one type into commands.

    `prepare` returns the commands (none: nothing to do). It may raise Malformed, and it runs again when the
    commands named the wrong streams (Misrouted). `follow_up` does the same after the commands of the batch
    are committed. An `urgent` handler also gets messages that come past Kafka, before earlier events of
    their stream.
    """

    prepare: Prepare
    follow_up: Prepare | None = None
    urgent: bool = field(default=False, kw_only=True)


def by_service(name: str) -> MaySend:
    """Allow messages that the service itself signed."""
    return lambda signer, event: (
        signer.kind == "service"
        and signer.subject == f"service:{name}"
        and event.source == f"/regista/{name}"
    )


def by_publishers(signer: Signer, event: CloudEvent) -> bool:
    """Allow messages that a publisher signed in its own name. The command checks what it may publish."""
    return signer.kind == "publisher" and event.source == f"/publishers/{signer.subject}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic that a consumer group reads.

    `may_send(signer, event)` returns whether the signer may send the event.

    A message without a handler for its type is ignored. On a `strict` topic it becomes a dead letter.
    On a topic bound to a `namespace`, so does a message that concerns another one.
    """

    topic: str
    group: str
    handlers: Mapping[str, Handler]
    may_send: MaySend
    strict: bool = field(default=False, kw_only=True)
    namespace: str = field(default="", kw_only=True)

    def within(self, submissions: Iterable[Submission]) -> list[Submission]:
        """Return the commands of a message. Raises Malformed when one leaves the namespace of the topic."""
        found = list(submissions)
        if self.namespace and not all(
            s.permission is not None and covers(self.namespace, s.permission.namespace) for s in found
        ):
            raise Malformed(
                f"{self.topic} takes messages about the namespace {self.namespace} only: send this one to "
                "the topic of its own namespace"
            )
        return found

    @property
    def max_bytes(self) -> int:
        """Maximum size of a message's data. Every event that a service could publish is below it."""
        return DATA_BYTES if self.from_publishers else LARGEST

    @property
    def from_publishers(self) -> bool:
        """Whether publishers write this topic; otherwise a service does."""
        return self.may_send is by_publishers

    @property
    def group_id(self) -> str:
        """The consumer group, one for each topic: a rebalance stops the readers of one topic only."""
        return f"{self.group}.{self.topic}"


def connection(settings: Settings) -> dict[str, Any]:
    """Return the options with which aiokafka's clients connect to the broker."""
    found: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security.startswith("SASL"):
        found |= {
            "sasl_mechanism": settings.kafka_mechanism,
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": settings.kafka_password,
        }
    if settings.kafka_security == "SASL_SSL":
        found["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file or None)
    return found


async def start_producer(settings: Settings) -> AIOKafkaProducer:
    """Return a started producer that neither loses, duplicates nor reorders what it acknowledges.

    Raises KafkaError while the broker is unavailable.
    """
    producer = AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=LARGEST,
        compression_type=None if settings.kafka_compression == "none" else settings.kafka_compression,
        request_timeout_ms=15_000,
    )
    try:
        async with asyncio.timeout(20):
            await producer.start()
    except BaseException:
        await stop_client(producer)
        raise
    return producer


@contextlib.asynccontextmanager
async def answer_in_time() -> AsyncIterator[None]:
    """Raise KafkaTimeoutError when Kafka does not answer the block in time.

    The producer may be stuck: replace it.
    """
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            yield
    except TimeoutError as late:
        raise KafkaTimeoutError(f"Kafka did not answer within {ANSWER_WITHIN:g} s") from late


class ClientLeftBehind(BaseException):
    """A Kafka client cannot be closed. The process ends: a second client beside it would read nothing."""


async def stop_client(client: Client, seconds: float = 3.0, parts: Sequence[object] = ()) -> None:
    """Stop a producer, consumer or broker. It is gone afterwards: a successor may be opened.

    `parts` are the consumers of a broker. Without a broker their own `stop` hangs, even when it is
    cancelled: after `seconds` their tasks are cancelled and their connections closed. Raises
    ClientLeftBehind when a task still runs after that.
    """
    stopping = asyncio.ensure_future(client.stop())
    stopping.add_done_callback(lambda done: done.cancelled() or done.exception())
    try:
        await asyncio.wait({stopping}, timeout=seconds)
    finally:
        stopping.cancel()
        left = _abandoned(client, parts)
    deadline = time.monotonic() + seconds
    while left := [task for task in (*left, stopping) if not task.done()]:
        if time.monotonic() > deadline:
            raise ClientLeftBehind(f"{len(left)} tasks of a Kafka client do not end: {left}")
        await asyncio.wait(left, timeout=0.1)
        left = _abandoned(client, parts)


def _abandoned(client: Client, parts: Sequence[object]) -> list[asyncio.Task[Any]]:
    return [task for part in parts or [client] for task in abandon(part)]
