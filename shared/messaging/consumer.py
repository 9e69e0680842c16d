"""Handle the batches of one subscription: verify, prepare commands, commit, dead-letter, acknowledge.

If the process dies before the acknowledgement, Kafka delivers the batch again and the inbox recognises what
was done.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace
from typing import TypeAlias

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from prometheus_client import Counter

from shared.deciding.decider import Misrouted, RuleBroken
from shared.deciding.submission import Submission
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.readiness import Readiness
from shared.foundation.telemetry import error_summary, tracer
from shared.identity.access_view import AccessView
from shared.log.transact import Transactor, WriterDied
from shared.messaging.acknowledging import acknowledge, partition_of
from shared.messaging.answers import answer_signer
from shared.messaging.authenticity import Ignored, Refused, verified
from shared.messaging.dead_letters import DeadLetters
from shared.messaging.kafka import Handler, Malformed, Prepare, Received, Record, Subscription
from shared.messaging.kafka_errors import KAFKA_ERRORS
from shared.messaging.outage_reports import report_outage

log = logging.getLogger(__name__)

MESSAGES = Counter("regista_messages", "Messages read, by what became of them", ["topic", "group", "result"])
TRANSIENT = (Unavailable, *KAFKA_ERRORS, *CONNECTION_ERRORS, asyncpg.SyntaxOrAccessError)
"""Errors that no message causes: the consumer waits and tries again.

SyntaxOrAccess (class 42) means that the schema is not the one this code was written for.
"""
ROUTES = 8
"""How often a message with the wrong streams is prepared again before its batch waits and starts over."""
ATTEMPTS = 3
"""How often a message that fails unexpectedly is tried alone. Then a publisher's message is dead-lettered;
an event of a service pauses its partition."""
LONGEST_WAIT, TASKS = 5.0, 8
ENOUGH = 1_000
"""Commands prepared before they run: one message may concern every open version of a model."""

Prepared: TypeAlias = "list[Submission] | RuleBroken | Malformed"


class StillMisrouted(Exception):  # noqa: N818 - the batch waits and starts over
    """Names kept changing while the batch ran."""


class Consumer:
    """Handles the messages of one subscription of this process."""

    def __init__(
        self,
        subscription: Subscription,
        transactor: Transactor,
        access: AccessView,
        dead_letters: DeadLetters,
        readiness: Readiness,
    ) -> None:
        self.subscription = subscription
        self.name = f"kafka {subscription.topic}"
        self._transactor = transactor
        self._access = access
        self._dead_letters = dead_letters
        self._readiness = readiness
        self.acknowledged: dict[TopicPartition, int] = {}
        self.lag_shown: set[TopicPartition] = set()
        """Partitions with a lag in the metrics, over all clients."""
        self._dead_lettered: set[tuple[int, int]] = set()
        self._paused: set[TopicPartition] = set()
        self._counters: dict[str, Counter] = {}

    async def handle(self, records: Sequence[Record], consumer: AIOKafkaConsumer) -> None:
        """Settle and acknowledge the batch. A partition whose event fails is paused at that event.

        Waits while the database or Kafka is unavailable. Raises WriterDied.
        """
        self._dead_lettered.clear()
        attempt = ATTEMPTS if any(partition_of(record) in self._paused for record in records) else 0
        waits = 0
        faults: dict[TopicPartition, tuple[int, Exception]] = {}
        while True:
            try:
                if attempt < ATTEMPTS:
                    await self.settle(records)
                else:
                    faults = await self._one_by_one(records)
                break
            except WriterDied:
                raise
            except (*TRANSIENT, StillMisrouted) as error:
                raise_if_cancelled()
                report_outage(error)
                self._readiness.wait(
                    self.name, f"waits and tries again: {error_summary(error)}", logged=False
                )
                await asyncio.sleep(min(LONGEST_WAIT, 0.1 * 2 ** min(max(attempt, waits), 6)))
                waits += 1
                attempt += isinstance(error, StillMisrouted)
            except Exception:
                raise_if_cancelled()
                attempt += 1
                log.exception("a batch failed", extra={"topic": self.subscription.topic, "attempt": attempt})
                await asyncio.sleep(min(LONGEST_WAIT, 0.1 * 2 ** min(attempt, 6)))
        self._readiness.clear(self.name)
        settled = [
            record
            for record in records
            if partition_of(record) not in faults or record.offset < faults[partition_of(record)][0]
        ]
        self.acknowledged |= await acknowledge(consumer, settled)
        for partition in {partition_of(record) for record in settled} - set(faults):
            self._clear_pause(partition)
        for partition, (offset, fault) in faults.items():
            self._pause(consumer, partition, offset, fault)

    def _pause(
        self, consumer: AIOKafkaConsumer, partition: TopicPartition, offset: int, fault: Exception
    ) -> None:
        """Pause the partition at `offset` until `resume_paused`.

        No later event may be acknowledged before this one. The other partitions continue.
        """
        if partition in consumer.assignment():
            consumer.pause(partition)
            consumer.seek(partition, offset)
            self._paused.add(partition)
            self._readiness.wait(
                f"{self.name}/{partition.partition}",
                f"paused at offset {offset} and tried again: {error_summary(fault)}",
            )

    def is_paused(self, partition: TopicPartition) -> bool:
        """Return whether the partition waits at an event that fails."""
        return partition in self._paused

    def detach(self) -> None:
        """Withdraw all reasons: the client is gone, and another process may get the partitions."""
        self._readiness.clear(self.name)
        for partition in tuple(self._paused):
            self._clear_pause(partition)

    def _clear_pause(self, partition: TopicPartition) -> None:
        self._paused.discard(partition)
        self._readiness.clear(f"{self.name}/{partition.partition}")

    def resume_paused(self, consumer: AIOKafkaConsumer) -> None:
        """Resume the paused partitions, so that their events are tried again. Call it every few seconds."""
        for partition in tuple(self._paused):
            if partition in consumer.assignment():
                consumer.resume(partition)
            else:
                self._clear_pause(partition)

    async def settle(self, records: Sequence[Record]) -> None:
        """Handle the records and commit what follows from them. Nothing is acknowledged."""
        verdicts = await verified(records, self.subscription, self._access)
        messages: list[Received] = []
        for record, verdict in zip(records, verdicts, strict=True):
            match verdict:
                case Refused():
                    await self._dead_letter(record, verdict.reason, verdict.code)
                case Ignored():
                    self._count("passed_over")
                case _ if (record.partition, record.offset) not in self._dead_lettered:
                    messages.append(verdict)
        if not messages:
            return
        by_position = {(record.partition, record.offset): record for record in records}
        done = await self._submit_messages(messages, by_position, follow_up=False)
        if follow := [m for m in done if self._handler(m).follow_up is not None]:
            await self._submit_messages(follow, by_position, follow_up=True)
        self._count("accepted", len(done))

    async def _one_by_one(self, records: Sequence[Record]) -> dict[TopicPartition, tuple[int, Exception]]:
        """Settle each record alone, so that a record that fails does not block the others.

        Return the offset and the error of the first event of a service that fails, by partition.
        """
        faults: dict[TopicPartition, tuple[int, Exception]] = {}
        for record in records:
            if partition_of(record) not in faults and (fault := await self._alone(record)) is not None:
                faults[partition_of(record)] = (record.offset, fault)
        return faults

    async def _alone(self, record: Record) -> Exception | None:
        """Settle one record.

        After ATTEMPTS failures, dead-letter it if a publisher sent it; return the error if a service did.
        """
        for attempt in range(ATTEMPTS):
            try:
                await self.settle([record])
                break
            except (*TRANSIENT, WriterDied):
                raise
            except Exception as error:
                raise_if_cancelled()
                if attempt < ATTEMPTS - 1:
                    continue
                verdict = (await verified([record], self.subscription, self._access))[0]
                if isinstance(verdict, Received) and verdict.kind == "service":
                    log.exception(
                        "an event of a service fails and pauses its partition",
                        extra={"topic": record.topic, "partition": record.partition},
                    )
                    return error
                await self._dead_letter(
                    record,
                    f"failed {ATTEMPTS} times: {type(error).__name__}; the service's log has the details:"
                    " replay it after the fix",
                    "failed",
                )
        return None

    async def _submit_messages(
        self, messages: Sequence[Received], by_position: dict[tuple[int, int], Record], *, follow_up: bool
    ) -> list[Received]:
        """Prepare and submit the commands of the messages; repeat this for those that were misrouted.

        Return the messages that no rule refused, in order.
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
                        await self._refuse(message, broken, by_position[message.partition, message.offset])
            if not again:
                return [m for m in messages if (m.partition, m.offset) not in refused]
            todo = again
        raise StillMisrouted(
            f"{len(todo)} messages of {self.subscription.topic} name streams that keep changing"
        )

    async def _prepared_some(self, messages: Sequence[Received], *, follow_up: bool) -> list[Prepared]:
        """Prepare the first messages, at least one, until there are ENOUGH commands.

        TASKS tasks share the messages: a task for each message would cost more than most messages.
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
                return self.subscription.within(
                    await prepare(message if trace == message.trace else replace(message, trace=trace))
                )
        except Malformed as malformed:
            if message.kind == "service":
                raise  # a service's event is true: the partition waits for code that can read it
            return malformed
        except RuleBroken as broken:
            return broken

    def _handler(self, message: Received) -> Handler:
        return self.subscription.handlers[message.event.type]

    async def _refuse(self, message: Received, broken: RuleBroken | Malformed, record: Record) -> None:
        """Dead-letter a publisher's message that a rule refused.

        The event of a service is only logged and counted.
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
        code = broken.code if isinstance(broken, RuleBroken) else "malformed"
        await self._dead_letter(record, str(broken), code)

    async def _dead_letter(self, record: Record, reason: str, code: str) -> None:
        if (position := (record.partition, record.offset)) not in self._dead_lettered:
            new = await self._dead_letters.add(record, reason, self.subscription.group_id, code)
            await answer_signer(self._dead_letters.refused, record, new, reason, code)
            self._dead_lettered.add(position)
            self._count("dead_letter" if new else "dead_letter_again")

    async def add_unreadable(self, partition: TopicPartition, offset: int, error: Exception) -> None:
        """Dead-letter a record that aiokafka cannot parse: only its topic, partition and offset are known."""
        record = ConsumerRecord(partition.topic, partition.partition, offset, 0, 0, None, b"", None, 0, 0, ())
        await self._dead_letters.add(
            record,
            f"the record cannot be parsed ({type(error).__name__}: {error});"
            " it is still at this offset of its topic",
            self.subscription.group_id,
            "unreadable",
        )
        self._count("dead_letter")

    def _count(self, result: str, by: int = 1) -> None:
        if (counter := self._counters.get(result)) is None:
            labels = self.subscription.topic, self.subscription.group_id, result
            counter = self._counters[result] = MESSAGES.labels(*labels)
        counter.inc(by)
