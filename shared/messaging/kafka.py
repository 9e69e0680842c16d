"""What a service says about the messages it reads (topic, handlers, who may speak), and how Kafka's clients are made and stopped.

shared/messaging/consumer.py is the loop over them, shared/messaging/verification.py the judge of what is
authentic, shared/messaging/dead_letters.py where the rest goes.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaTimeoutError
from pydantic import ValidationError

from regista.wire.cloudevents import CloudEvent, utc
from shared.deciding.events import Actor, Source, storable
from shared.deciding.submission import Cause, Submission
from shared.foundation.settings import Settings
from shared.identity.access_view import Signer

log = logging.getLogger(__name__)


FROM_PUBLISHERS = 512 * 1024
"""Bytes of data that a publisher's message may have."""
ANSWER_WITHIN = 60.0
"""Seconds for what a producer sends: aiokafka itself may wait for ever."""
LARGEST = 3 * 1024 * 1024
"""Bytes that a request to the broker may have, below its `message.max.bytes`: what a service could publish, every other service takes."""


class Malformed(Exception):  # noqa: N818 - said by `prepare` about a message
    """The message can never be accepted as it is; the reason goes with it to the dead letters."""

    @classmethod
    def in_shape(cls, wrong: ValidationError) -> Malformed:
        """Every error of a message's data in one line, up to twenty of them."""
        errors = wrong.errors(include_url=False, include_context=False, include_input=False)
        return cls(
            "; ".join(
                f"{'.'.join(str(part) for part in e['loc']) or 'data'}: {e['msg']}" for e in errors[:20]
            )
        )


@dataclass(frozen=True)
class Received:
    """One authentic message; `signer` is the verified subject."""

    event: CloudEvent
    signer: str
    kind: str
    topic: str
    partition: int
    offset: int
    trace: str = ""
    key_id: str = ""

    @cached_property
    def data(self) -> dict[str, Any]:
        """The decoded JSON of `event.data`, decoded when first asked for.

        Raises Malformed for what is no JSON object.
        """
        try:
            decoded = storable(self.event.data)
        except ValueError as error:
            raise Malformed(f"the data is no JSON that can be kept: {error}") from None
        if not isinstance(decoded, dict):
            raise Malformed(f"the data is JSON, but {type(decoded).__name__} instead of an object")
        return decoded

    @property
    def actor(self) -> Actor:
        """The signer as an actor, with the key it signed with."""
        return Actor(self.signer, method=f"signature:{self.key_id}")

    @property
    def source(self) -> Source:
        """Where another service's event stands there. Raises Malformed without the extension `revision`."""
        e = self.event
        try:
            return Source(
                e.source.removeprefix("/regista/"), e.subject, int(e.extensions["revision"]), e.type, e.id
            )
        except (KeyError, ValueError):
            raise Malformed("the extension `revision` is missing or no number") from None

    @property
    def leaf(self) -> str:
        """The hex leaf of that event in the log, "" where its service did not say."""
        return self.event.extensions.get("leaf", "")

    def cause(self, part: str = "") -> Cause:
        """Why its commands run. Give each of several commands of one message its own `part`."""
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
    """What to do with one type of message.

    `prepare` looks up what it needs and returns commands (none: nothing to do); it runs again when its
    streams turn out to be the wrong ones (Misrouted) and may raise Malformed. `follow_up` does the same once
    the commands of the batch are committed.
    """

    prepare: Prepare
    follow_up: Prepare | None = None


def by_service(name: str) -> MaySend:
    """Messages of a service: only its own identity may have signed them."""
    return lambda signer, event: (
        signer.kind == "service"
        and signer.subject == f"service:{name}"
        and event.source == f"/regista/{name}"
    )


def by_publishers(signer: Signer, event: CloudEvent) -> bool:
    """Messages of publishers: each may speak for itself. What it may publish is checked with the command."""
    return signer.kind == "publisher" and event.source == f"/publishers/{signer.subject}"


@dataclass(frozen=True, slots=True)
class Subscription:
    """A topic read by a consumer group. `may_send` tells whether this signer may send this event.

    A type without a handler is passed over, except on a `strict` topic: there an unknown type or version is a
    dead letter.
    """

    topic: str
    group: str
    handlers: Mapping[str, Handler]
    may_send: MaySend
    strict: bool = field(default=False, kw_only=True)

    @property
    def max_bytes(self) -> int:
        """What a message's data may have.

        A service's own events are never refused for their size: whatever it could publish is taken.
        """
        return FROM_PUBLISHERS if self.from_publishers else LARGEST

    @property
    def from_publishers(self) -> bool:
        """Whether publishers speak here; else it is the topic of a service."""
        return self.may_send is by_publishers

    @property
    def group_id(self) -> str:
        """The consumer group: one for each topic, so that a member that comes or goes disturbs the readers of its own topic only."""
        return f"{self.group}.{self.topic}"


def connection(settings: Settings) -> dict[str, Any]:
    """How aiokafka's clients reach the broker."""
    found: dict[str, Any] = {
        "bootstrap_servers": settings.kafka_bootstrap,
        "security_protocol": settings.kafka_security,
    }
    if settings.kafka_security.startswith("SASL"):
        found |= {
            "sasl_mechanism": "SCRAM-SHA-512",
            "sasl_plain_username": settings.kafka_user,
            "sasl_plain_password": settings.kafka_password,
        }
    if settings.kafka_security == "SASL_SSL":
        found["ssl_context"] = ssl.create_default_context(cafile=settings.kafka_ca_file or None)
    return found


async def start_producer(settings: Settings) -> AIOKafkaProducer:
    """A started producer that neither loses, doubles nor reorders what it acknowledges.

    Raises KafkaError while the broker is away.
    """
    producer = AIOKafkaProducer(
        **connection(settings),
        acks="all",
        enable_idempotence=True,
        linger_ms=5,
        max_batch_size=256 * 1024,
        max_request_size=LARGEST,
        compression_type="zstd",
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
    """Raises KafkaTimeoutError when what is sent in the block is not answered in time: the producer may be stuck, a new one is needed."""
    try:
        async with asyncio.timeout(ANSWER_WITHIN):
            yield
    except TimeoutError as late:
        raise KafkaTimeoutError(f"Kafka did not answer within {ANSWER_WITHIN:g} s") from late


async def stop_client(client: Any, seconds: float = 5.0) -> None:
    """Stops a producer, consumer or broker client.

    Without a broker their own `stop` hangs, also when it is cancelled: then it is left behind.
    """
    stopping = asyncio.ensure_future(client.stop())
    stopping.add_done_callback(lambda done: done.cancelled() or done.exception())
    await asyncio.wait({stopping}, timeout=seconds)
    if not stopping.done():
        stopping.cancel()
        log.info("a Kafka client did not stop in %s s", seconds)
