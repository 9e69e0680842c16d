"""A page is packed into batches per partition without changing the order of any key."""

from __future__ import annotations

from typing import Any

from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import DefaultRecordBatch

from shared.messaging.partition_batches import PartitionBatches, partition_of

PARTITIONS = [0, 1, 2, 3]


class Recording:
    """Takes batches as a producer does and keeps them."""

    def __init__(self) -> None:
        self.sent: list[tuple[int, Any]] = []

    async def send_batch(self, batch: Any, _topic: str, *, partition: int) -> None:
        assert batch.closed()
        self.sent.append((partition, batch))


def batches(size: int) -> PartitionBatches:
    return PartitionBatches(lambda: BatchBuilder(size, 0), PARTITIONS)  # type: ignore[no-untyped-call]


async def test_each_partition_gets_its_messages_in_order_across_full_batches() -> None:
    page = batches(2_000)
    for n in range(500):
        page.add(b"model-%d" % (n % 17), b"%d " % n + b"x" * 100, [("ce_id", b"%d" % n)])
    assert page.count == 500
    producer = Recording()
    sent = await page.send(producer, "t")  # type: ignore[arg-type]
    assert len(sent) == len(producer.sent) > 2 * len(PARTITIONS)
    found: dict[int, list[int]] = {}
    for partition, batch in producer.sent:
        found.setdefault(partition, []).extend(_numbers(batch))
    assert sorted(n for numbers in found.values() for n in numbers) == list(range(500))
    for partition, numbers in found.items():
        assert numbers == sorted(numbers)
        assert {partition_of(b"model-%d" % (n % 17), tuple(PARTITIONS)) for n in numbers} == {partition}


async def test_a_message_larger_than_a_batch_has_one_of_its_own() -> None:
    page = batches(1_000)
    for n, size in enumerate((10, 5_000, 10)):
        page.add(b"a", b"%d " % n + b"x" * size, [])
    producer = Recording()
    await page.send(producer, "t")  # type: ignore[arg-type]
    assert [_numbers(batch) for _, batch in producer.sent] == [[0], [1], [2]]


def _numbers(batch: Any) -> list[int]:
    """The numbers that the values of a batch begin with."""
    return [int(record.value.split(b" ")[0]) for record in DefaultRecordBatch(bytes(batch._build()))]
