"""Handle what a consumer group passed over: earlier messages of types that a service begins to read.

A release may read a type of event that the release before ignored. Its group is behind the earlier messages
of that type, which a decision may need. Which types a group reads is recorded in the inbox.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aiokafka import AIOKafkaConsumer

from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.readiness import Readiness
from shared.foundation.settings import Settings
from shared.foundation.telemetry import error_summary
from shared.log.inbox import Once
from shared.messaging.consumer import Consumer
from shared.messaging.kafka import Record, Subscription, connection, stop_client

log = logging.getLogger(__name__)

RETRY_AFTER = 5.0
WAIT_MS = 500
BY_SERVICES = "/regista/"
"""How the sources of services' messages begin."""


@dataclass(frozen=True, slots=True)
class EarlierMessages:
    """Reads each topic of a service once again where this release reads types that were not read before.

    Messages of other types are left out, and those that were handled have no second effect.
    """

    consumers: Sequence[Consumer]
    once: Once
    settings: Settings
    readiness: Readiness

    async def run(self) -> None:
        """Read for the life of the process: again after a failure, and nothing more after a success."""
        name = "earlier messages"
        while True:
            try:
                for consumer in self.consumers:
                    await self.read(consumer)
            except Exception as error:  # noqa: BLE001 - the group goes on; readiness reports what is missing
                raise_if_cancelled()
                self.readiness.wait(name, f"are read again: {error_summary(error)}")
                await asyncio.sleep(RETRY_AFTER)
            else:
                self.readiness.clear(name)
                await asyncio.Event().wait()

    async def read(self, consumer: Consumer) -> int:
        """Handle the earlier messages of the types that the group did not read. Return how many there are."""
        subscription, found = consumer.subscription, 0
        if subscription.from_publishers:
            return 0
        new = [
            type_ for type_ in sorted(subscription.handlers) if not await self._is_read(subscription, type_)
        ]
        if new and await self.once.has_from(BY_SERVICES):
            found = await self._settle(consumer, frozenset(new))
            log.info(
                "earlier messages were read",
                extra={"topic": subscription.topic, "types": new, "messages": found},
            )
        for type_ in new:
            await self.once.record(_source(subscription), type_)
        return found

    async def _is_read(self, subscription: Subscription, type_: str) -> bool:
        return await self.once.has(_source(subscription), type_)

    async def _settle(self, consumer: Consumer, types: frozenset[str]) -> int:
        """Handle the messages of these types up to the present end of the topic."""
        topic, found = consumer.subscription.topic, 0
        reader = AIOKafkaConsumer(
            topic, **connection(self.settings), enable_auto_commit=False, isolation_level="read_committed"
        )
        try:
            await reader.start()
            partitions = sorted(reader.assignment())
            ends = await reader.end_offsets(partitions)
            await reader.seek_to_beginning(*partitions)
            for partition in partitions:
                while await reader.position(partition) < ends[partition]:
                    for records in (await reader.getmany(partition, timeout_ms=WAIT_MS)).values():
                        wanted = [record for record in records if _type_of(record) in types]
                        await consumer.settle(wanted)
                        found += len(wanted)
        finally:
            await stop_client(reader)
        return found


def _source(subscription: Subscription) -> str:
    return f"reads/{subscription.group_id}"


def _type_of(record: Record) -> str:
    return next((value.decode("utf-8", "replace") for name, value in record.headers if name == "ce_type"), "")
