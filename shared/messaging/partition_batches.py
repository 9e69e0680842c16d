"""Messages of one page packed into Kafka batches, one list per partition, in the order of the page.

A batch costs the producer one call and one future; a message sent alone costs both for each message. The
partition of a message is the one that `producer.send` chooses for its key. FastStream's `publish_batch` does
not look at keys and is not used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from itertools import zip_longest
from typing import Any

from aiokafka import AIOKafkaProducer
from aiokafka.partitioner import DefaultPartitioner

_partition_of = DefaultPartitioner()


@lru_cache(maxsize=20_000)
def partition_of(key: bytes, partitions: tuple[int, ...]) -> int:
    """Return the partition of `key`. aiokafka computes the hash in Python: 10 µs, cached here."""
    chosen: int = _partition_of(key, partitions, partitions)
    return chosen


class PartitionBatches:
    """Collects messages and sends them.

    `new_batch` makes an empty batch; `partitions` are those of the topic, sorted.
    """

    def __init__(self, new_batch: Callable[[], Any], partitions: Sequence[int]) -> None:
        self._new_batch = new_batch
        self._partitions = tuple(partitions)
        self._batches: dict[int, list[Any]] = {}
        self.count = 0

    def add(self, key: bytes, value: bytes, headers: Sequence[tuple[str, bytes]]) -> None:
        """Append a message to the newest batch of its partition, or to a new one when that batch is full."""
        self.count += 1
        batches = self._batches.setdefault(partition_of(key, self._partitions), [])
        if batches and batches[-1].append(timestamp=None, key=key, value=value, headers=headers) is not None:
            return
        batches.append(self._new_batch())
        batches[-1].append(timestamp=None, key=key, value=value, headers=headers)  # the first always has room

    async def send(self, producer: AIOKafkaProducer, topic: str) -> list[Any]:
        """Hand all batches to the producer.

        Return a future for each, done when Kafka has stored the batch.
        """
        sent = []
        for nth in zip_longest(*(zip([p] * len(b), b, strict=True) for p, b in self._batches.items())):
            for partition, batch in filter(None, nth):
                batch.close()  # sent immediately: the producer waits for no further message
                sent.append(await producer.send_batch(batch, topic, partition=partition))
        return sent


async def partitions_of(producer: AIOKafkaProducer, topic: str) -> list[int]:
    """Return the partitions of a topic, sorted, as the producer's own partitioner gets them."""
    return sorted(await producer.partitions_for(topic))
