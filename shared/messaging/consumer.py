"""The loop of one subscription: a batch is verified, prepared, committed to the log, its refused messages buried, and only then acknowledged.

If the process dies anywhere before the acknowledgement, Kafka delivers the batch again and the inbox
recognises what was done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, TypeAlias

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CommitFailedError, IllegalStateError, KafkaError
from prometheus_client import Counter

from shared.deciding.decider import Misrouted, RuleBroken
from shared.deciding.submission import Submission
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.readiness import Readiness, error_summary
from shared.foundation.telemetry import tracer
from shared.identity.access_view import AccessView
from shared.log.transact import Transactor, WriterDied
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.kafka import Handler, Malformed, Prepare, Received, Subscription
from shared.messaging.verification import Ignored, Refused, verified

log = logging.getLogger(__name__)

MESSAGES = Counter("regista_messages", "Messages read, by what became of them", ["topic", "group", "result"])
TRANSIENT = (Unavailable, KafkaError, *CONNECTION_ERRORS, asyncpg.SyntaxOrAccessError)
"""Waited for, never blamed on a message.

SyntaxOrAccess (class 42): the schema is not the one this code was written for.
"""
ROUTES = 8
"""How often a message whose streams turn out to be the wrong ones is prepared, before its batch waits and starts again."""
ATTEMPTS = 3
"""How often a message that fails for an unforeseen reason is tried alone.

Then a publisher's is buried; a service's holds its partition.
"""
LONGEST_WAIT = 5.0
TASKS = 8
ENOUGH = 1_000
"""Commands made of messages before they are run: one message may concern every open version of a model."""

Prepared: TypeAlias = "list[Submission] | RuleBroken | Malformed"
Record: TypeAlias = "ConsumerRecord[Any, Any]"


class StillMisrouted(Exception):  # noqa: N818 - an answer to wait on
    """Names kept changing while the batch ran."""


class Consumer:
    """One subscription of one process."""

    def __init__(
        self,
        subscription: Subscription,
        transactor: Transactor,
        access: AccessView,
        letters: DeadLetters,
        readiness: Readiness,
    ) -> None:
        self.subscription = subscription
        self.name = f"kafka {subscription.topic}"
        self._transactor = transactor
        self._access = access
        self._letters = letters
        self._readiness = readiness
        self.acknowledged: dict[TopicPartition, int] = {}
        self._buried: set[tuple[int, int]] = set()
        self._held: set[TopicPartition] = set()

    async def handle(self, records: Sequence[Record], consumer: AIOKafkaConsumer) -> None:
        """Returns when the batch is settled and acknowledged, but for partitions that are held.

        Waits as long as something it needs is away. Raises WriterDied.
        """
        self._buried.clear()
        attempt = ATTEMPTS if any(_place(record) in self._held for record in records) else 0
        held: dict[TopicPartition, tuple[int, Exception]] = {}
        while True:
            try:
                if attempt < ATTEMPTS:
                    await self._settle(records)
                else:
                    held = await self._one_by_one(records)
                break
            except WriterDied:
                raise
            except (*TRANSIENT, StillMisrouted) as away:
                self._readiness.wait(self.name, f"waits and tries again: {error_summary(away)}")
                await asyncio.sleep(min(LONGEST_WAIT, 0.1 * 2 ** min(attempt, 6)))
                attempt += isinstance(away, StillMisrouted)
            except Exception:
                attempt += 1
                log.exception("a batch failed", extra={"topic": self.subscription.topic, "attempt": attempt})
                await asyncio.sleep(min(LONGEST_WAIT, 0.1 * 2 ** min(attempt, 6)))
        self._readiness.clear(self.name)
        settled = [
            record
            for record in records
            if _place(record) not in held or record.offset < held[_place(record)][0]
        ]
        self.acknowledged |= await acknowledge(consumer, settled)
        for partition in {_place(record) for record in settled} - set(held):
            self._release(partition)
        for partition, (offset, fault) in held.items():
            self._hold(consumer, partition, offset, fault)

    def _hold(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int, fault: Exception
    ) -> None:
        """Reads no further there until `retry_held`: what follows must not be acknowledged before it.

        The other partitions go on.
        """
        if partition in consumer.assignment():
            consumer.pause(partition)
            consumer.seek(partition, offset)
            self._held.add(partition)
            self._readiness.wait(
                f"{self.name}/{partition.partition}",
                f"held at offset {offset} and tried again: {error_summary(fault)}",
            )

    def _release(self, partition: TopicPartition) -> None:
        self._held.discard(partition)
        self._readiness.clear(f"{self.name}/{partition.partition}")

    def retry_held(self, consumer: AIOKafkaConsumer) -> None:
        """Lets the held partitions be read again; call it every few seconds."""
        for partition in tuple(self._held):
            if partition in consumer.assignment():
                consumer.resume(partition)
            else:
                self._release(partition)

    async def _settle(self, records: Sequence[Record]) -> None:
        verdicts = await verified(records, self.subscription, self._access)
        messages: list[Received] = []
        for record, verdict in zip(records, verdicts, strict=True):
            match verdict:
                case Refused():
                    await self._bury(record, verdict.reason)
                case Ignored():
                    self._count("passed_over")
                case _ if (record.partition, record.offset) not in self._buried:
                    messages.append(verdict)
        if not messages:
            return
        by_place = {(record.partition, record.offset): record for record in records}
        done = await self._step(messages, by_place, follow_up=False)
        if follow := [m for m in done if self._handler(m).follow_up is not None]:
            await self._step(follow, by_place, follow_up=True)
        self._count("accepted", len(done))

    async def _one_by_one(self, records: Sequence[Record]) -> dict[TopicPartition, tuple[int, Exception]]:
        """After unforeseen failures of the whole: each record alone, so that one that cannot be processed does not take the others with it.

        Answers where a service's event fails: the offset in each partition that has one, and why.
        """
        held: dict[TopicPartition, tuple[int, Exception]] = {}
        for record in records:
            if _place(record) not in held and (fault := await self._alone(record)) is not None:
                held[_place(record)] = (record.offset, fault)
        return held

    async def _alone(self, record: Record) -> Exception | None:
        """Settles one record; one that still fails is buried if a publisher sent it, and answered as a fault if a service did."""
        for attempt in range(ATTEMPTS):
            try:
                await self._settle([record])
                break
            except (*TRANSIENT, WriterDied):
                raise
            except Exception as error:
                if attempt < ATTEMPTS - 1:
                    continue
                verdict = (await verified([record], self.subscription, self._access))[0]
                if isinstance(verdict, Received) and verdict.kind == "service":
                    log.exception(
                        "an event of a service holds its partition",
                        extra={"topic": record.topic, "partition": record.partition},
                    )
                    return error
                await self._bury(
                    record,
                    f"failed {ATTEMPTS} times: {type(error).__name__}; the service's log has the details, replay it when mended",
                )
        return None

    async def _step(
        self, messages: Sequence[Received], by_place: dict[tuple[int, int], Record], *, follow_up: bool
    ) -> list[Received]:
        """Prepares and submits, again for those that were misrouted.

        Answers the messages that no rule refused, in order.
        """
        refused: set[tuple[int, int]] = set()
        todo = messages
        for _ in range(ROUTES):
            again: list[Received] = []
            while todo:
                prepared = await self._prepared_some(todo, follow_up=follow_up)
                some, todo = todo[: len(prepared)], todo[len(prepared) :]
                answers = iter(
                    await self._transactor.submit_all([s for p in prepared if isinstance(p, list) for s in p])
                )
                for message, p in zip(some, prepared, strict=True):
                    outcomes = [next(answers) for _ in p] if isinstance(p, list) else [p]
                    if any(isinstance(o, Misrouted) for o in outcomes):
                        again.append(message)
                    elif broken := next(
                        (o for o in outcomes if isinstance(o, (RuleBroken, Malformed))), None
                    ):
                        refused.add((message.partition, message.offset))
                        await self._refuse(message, broken, by_place[message.partition, message.offset])
            if not again:
                return [m for m in messages if (m.partition, m.offset) not in refused]
            todo = again
        raise StillMisrouted(f"{len(todo)} messages of {self.subscription.topic}")

    async def _prepared_some(self, messages: Sequence[Received], *, follow_up: bool) -> list[Prepared]:
        """The first of them, at least one, until they have made ENOUGH commands.

        Side by side, in as many tasks as there are connections to wait for: a task for each message would
        cost more than most messages.
        """
        found: list[Prepared] = []
        following = iter(messages)
        made = 0

        async def some() -> None:
            nonlocal made
            while made < ENOUGH and (message := next(following, None)) is not None:
                n = len(found)
                found.append([])
                prepared = found[n] = await self._prepared(message, follow_up=follow_up)
                made += len(prepared) if isinstance(prepared, list) else 0

        await asyncio.gather(*[some() for _ in range(min(TASKS, len(messages)))])
        return found

    async def _prepared(self, message: Received, *, follow_up: bool) -> Prepared:
        handler = self._handler(message)
        prepare: Prepare = (
            handler.follow_up if follow_up and handler.follow_up is not None else handler.prepare
        )
        try:
            with tracer.span(f"consume {message.event.type}", message.trace) as trace:
                return list(
                    await prepare(message if trace == message.trace else replace(message, trace=trace))
                )
        except Malformed as malformed:
            if message.kind == "service":
                raise  # what a service said is true: this code is behind it, and holds the partition until it is not
            return malformed
        except RuleBroken as broken:
            return broken

    def _handler(self, message: Received) -> Handler:
        return self.subscription.handlers[message.event.type]

    async def _refuse(self, message: Received, broken: RuleBroken | Malformed, record: Record) -> None:
        """A message that can never be accepted as it is.

        A rule that another service's event meets is no news to its sender: it is passed over.
        """
        if isinstance(broken, RuleBroken) and message.kind == "service":
            self._count("refused")
            log.warning(
                "a rule refused an event",
                extra={
                    "type": message.event.type,
                    "id": message.event.id,
                    "code": broken.code,
                    "why": broken.detail,
                },
            )
            return
        await self._bury(record, str(broken))

    async def _bury(self, record: Record, reason: str) -> None:
        if (place := (record.partition, record.offset)) not in self._buried:
            await self._letters.add(record, reason, self.subscription.group_id)
            self._buried.add(place)
            self._count("dead_letter")

    async def bury_unreadable(self, partition: TopicPartition, offset: int, error: Exception) -> None:
        """A record that the client itself cannot parse leaves nothing but its place."""
        record = ConsumerRecord(partition.topic, partition.partition, offset, 0, 0, None, b"", None, 0, 0, ())
        await self._letters.add(
            record,
            f"the record cannot be parsed ({type(error).__name__}: {error}); it is still at its place",
            self.subscription.group_id,
        )
        self._count("dead_letter")

    def _count(self, result: str, by: int = 1) -> None:
        MESSAGES.labels(self.subscription.topic, self.subscription.group_id, result).inc(by)


def _place(record: Record) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


async def acknowledge(consumer: AIOKafkaConsumer, records: Sequence[Record]) -> dict[TopicPartition, int]:
    """Commits the offset after the last record of each partition, and answers them.

    One that was taken away meanwhile is delivered again elsewhere: the inbox knows it.
    """
    offsets: dict[TopicPartition, int] = {}
    for record in records:
        partition = _place(record)
        offsets[partition] = max(offsets.get(partition, 0), record.offset + 1)
    for attempt in range(5):
        still_ours = {
            partition: offset for partition, offset in offsets.items() if partition in consumer.assignment()
        }
        if not still_ours:
            break
        try:
            async with asyncio.timeout(10):
                await consumer.commit(still_ours)
        except (CommitFailedError, IllegalStateError) as lost:
            log.info("not acknowledged, to be delivered again: %s", type(lost).__name__)
        except (KafkaError, TimeoutError) as away:
            log.warning("acknowledging waits for Kafka: %s", type(away).__name__)
            await asyncio.sleep(0.2 * 2**attempt)
            continue
        return still_ours
    return {}
