"""An aiokafka consumer that a record it cannot parse neither stops nor makes lose others.

Found by trying: a header whose name is not UTF-8 (which every broker accepts) makes `getmany` raise for ever,
and the good records read with it in the same call are skipped in silence, because the position has moved past
them.
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, ConsumerRecord, TopicPartition
from aiokafka.errors import CorruptRecordException

log = logging.getLogger(__name__)

Bury = Callable[[TopicPartition, int, Exception], Awaitable[None]]
Batch = dict[TopicPartition, list["ConsumerRecord[Any, Any]"]]


class SkippingConsumer(AIOKafkaConsumer):  # type: ignore[misc]
    """`bury` is told of each record that cannot be parsed, before it is stepped over; chosen by consumer group."""

    IDLE_MS = 500
    """How long a call waits when there is nothing.

    FastStream polls with its batch timeout, which would be twenty idle wake-ups a second.
    """

    def __init__(self, buriers: Mapping[str, Bury], *, group_id: str, **options: Any) -> None:
        super().__init__(group_id=group_id, **options)
        self._bury = buriers[group_id]
        self._next: dict[TopicPartition, int] = {}
        self._careful = False

    async def getmany(
        self, *partitions: TopicPartition, timeout_ms: int = 0, max_records: int | None = None
    ) -> Batch:
        """As aiokafka's, but records are returned or still to come, never skipped."""
        if self._careful:
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
            await self._back()
            raise
        except ValueError as unreadable:
            log.warning("a record cannot be parsed; reading one by one to find it", exc_info=unreadable)
            await self._back()
            self._careful = True
            return {}

    def seek(self, partition: TopicPartition, offset: int) -> None:
        """As aiokafka's: what is read next begins there, also after a call that failed."""
        super().seek(partition, offset)
        self._next[partition] = offset

    def _returned(self, batch: Batch) -> Batch:
        assigned = self.assignment()
        self._next = {p: offset for p, offset in self._next.items() if p in assigned}
        self._next |= {partition: records[-1].offset + 1 for partition, records in batch.items() if records}
        return batch

    async def _back(self) -> None:
        """Every partition to after what was last returned: what a failed call had read counts as unread."""
        for partition in self.assignment():
            offset = self._next.get(partition)
            if offset is None:
                offset = await self.committed(partition)
            if offset is None:
                await self.seek_to_beginning(partition)
            else:
                self.seek(partition, offset)

    async def _one_by_one(self, partitions: tuple[TopicPartition, ...], most: int) -> Batch:
        """Up to the first record that cannot be parsed, which is stepped over when it comes first."""
        found: Batch = {}
        for partition in partitions:
            wait = self.IDLE_MS
            while sum(map(len, found.values())) < most:
                try:
                    got = await super().getmany(partition, timeout_ms=wait, max_records=1)
                except ValueError as unreadable:
                    if not found:
                        await self._step_over(partition, unreadable)
                    return found
                if not got:
                    break
                found.setdefault(partition, []).extend(got[partition])
                wait = 0
        return found

    async def _step_over(self, partition: TopicPartition, unreadable: ValueError) -> None:
        offset = await self.position(partition)
        await self._bury(partition, offset, unreadable)
        self.seek(partition, offset + 1)
        await self.commit({partition: offset + 1})
        self._careful = False
