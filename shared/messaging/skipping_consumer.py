"""An aiokafka consumer that skips a record it cannot parse and loses no other.

A header whose name is not UTF-8 (which every broker accepts) makes aiokafka's `getmany` raise at every call.
The good records that were read in the same call are lost without an error, because the position has moved
past them.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import CorruptRecordException, IllegalStateError

from shared.foundation.postgres_errors import raise_if_cancelled
from shared.messaging.kafka import Record
from shared.messaging.kafka_errors import KAFKA_ERRORS

log = logging.getLogger(__name__)

LIMIT = 5.0
"""Time limit for committing what was passed over, in seconds."""
OnUnreadable = Callable[[TopicPartition, int, Exception], Awaitable[None]]
Batch = dict[TopicPartition, list[Record]]


class SkippingConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """Passes each record that it cannot parse to the function of its consumer group, then skips it."""

    IDLE_MS = 500
    """How long a call waits for records.

    FastStream passes its batch timeout, which would wake an idle process twenty times a second.
    """

    def __init__(self, on_unreadable: Mapping[str, OnUnreadable], *, group_id: str, **options: Any) -> None:
        super().__init__(group_id=group_id, **options)
        self._on_unreadable = on_unreadable[group_id]
        self._next: dict[TopicPartition, int] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._one_at_a_time = False

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Batch:
        """Return records as aiokafka does, but lose none: what is not returned comes with a later call."""
        batch = await self._read(*partitions, timeout_ms=timeout_ms, max_records=max_records)
        if not batch:
            await self._commit_passed_over()
        return batch

    async def commit(self, offsets: dict[TopicPartition, int] | None = None) -> None:
        """Commit offsets as aiokafka does."""
        await super().commit(offsets)
        self._committed |= offsets or {}

    async def _commit_passed_over(self) -> None:
        """Commit positions after what is no message: markers of transactions, and aborted messages.

        Otherwise they would count as waiting until the next message. A partition with a message that was
        returned and is not committed is left out. Call it when a call returned nothing: then no batch is
        being handled.
        """
        assigned = self.assignment()
        self._committed = {p: offset for p, offset in self._committed.items() if p in assigned}
        passed: dict[TopicPartition, int] = {}
        try:
            async with asyncio.timeout(LIMIT):
                for partition in assigned:
                    if partition not in self._committed:
                        self._committed[partition] = await self.committed(partition) or 0
                    committed = self._committed[partition]
                    position = await self.position(partition)
                    if self._next.get(partition, 0) <= committed < position:
                        passed[partition] = position
                if passed:
                    await self.commit(passed)
        except (*KAFKA_ERRORS, IllegalStateError, TimeoutError) as error:
            raise_if_cancelled()
            log.debug("what was passed over is not committed yet", exc_info=error)

    async def _read(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Batch:
        if self._one_at_a_time:
            return self._returned(
                await self._one_by_one(partitions or tuple(self.assignment()), max_records or 500)
            )
        try:
            return self._returned(
                await super().getmany(
                    *partitions, timeout_ms=max(timeout_ms, self.IDLE_MS), max_records=max_records
                )
            )
        except CorruptRecordException:
            await self._rewind()
            raise
        except ValueError as unreadable:
            log.warning(
                "aiokafka cannot parse a record; reading one at a time to find it", exc_info=unreadable
            )
            await self._rewind()
            self._one_at_a_time = True
            return {}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """Read from `offset` next, also after a call that failed."""
        super().seek(partition, offset)
        self._next[partition] = offset

    def _returned(self, batch: Batch) -> Batch:
        assigned = self.assignment()
        self._next = {p: offset for p, offset in self._next.items() if p in assigned}
        self._next |= {partition: records[-1].offset + 1 for partition, records in batch.items() if records}
        return batch

    async def _rewind(self) -> None:
        """Set every partition to the offset after the last record that a call returned."""
        for partition in self.assignment():
            offset = self._next.get(partition)
            if offset is None:
                offset = await self.committed(partition)
            if offset is None:
                await self.seek_to_beginning(partition)
            else:
                self.seek(partition, offset)

    async def _one_by_one(self, partitions: tuple[TopicPartition, ...], most: int) -> Batch:
        """Return records up to the first that cannot be parsed. Skip that one when it comes first."""
        found: Batch = {}
        for partition in partitions:
            wait = self.IDLE_MS
            while sum(map(len, found.values())) < most:
                try:
                    got = await super().getmany(partition, timeout_ms=wait, max_records=1)
                except ValueError as unreadable:
                    if not found:
                        await self._skip(partition, unreadable)
                    return found
                if not got:
                    break
                found.setdefault(partition, []).extend(got[partition])
                wait = 0
        return found

    async def _skip(self, partition: TopicPartition, unreadable: ValueError) -> None:
        offset = await self.position(partition)
        await self._on_unreadable(partition, offset, unreadable)
        self.seek(partition, offset + 1)
        await self.commit({partition: offset + 1})
        self._one_at_a_time = False
