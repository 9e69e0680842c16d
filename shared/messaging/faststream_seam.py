"""Start a FastStream broker with consumers of another class.

This is the only file that uses what FastStream does not document.

FastStream has no option for the class of its consumers. Each subscriber calls
`broker.config.broker_config.builder` when it starts; this file replaces that function.
tests/unit/shared/test_faststream_seam.py checks what is expected here.
"""

from __future__ import annotations

from collections.abc import Callable

from aiokafka import AIOKafkaConsumer
from faststream.kafka import KafkaBroker


class SeamChanged(RuntimeError):  # noqa: N818 - the message is for the developer who updates FastStream
    """FastStream makes its consumers in another way: pin the former release or adapt this file."""


def stop_tasks(broker: KafkaBroker) -> None:
    """Cancel what the subscribers run, also those that a broken `stop` of the broker did not reach."""
    for subscriber in broker.subscribers:
        subscriber.running = False
        for task in getattr(subscriber, "tasks", ()):
            task.cancel()


async def start_with_consumers(broker: KafkaBroker, make: Callable[..., AIOKafkaConsumer]) -> None:
    """Start the broker. `make` is called with the options of each subscriber and returns its consumer.

    Raises SeamChanged when FastStream did not call `make` for every subscriber.
    """
    made = 0

    def build(**options: object) -> AIOKafkaConsumer:
        nonlocal made
        made += 1
        return make(**options)

    await broker.connect()
    broker.config.broker_config.builder = build
    await broker.start()
    if made != len(broker.subscribers):
        raise SeamChanged(SeamChanged.__doc__)
