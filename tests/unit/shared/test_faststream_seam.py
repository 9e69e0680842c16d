"""What shared/messaging/faststream_seam.py expects of FastStream. A release that changes it fails here."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any

import pytest
from faststream import AckPolicy
from faststream.kafka import KafkaBroker

from shared.messaging.faststream_seam import SeamChanged, start_with_consumers


class Recording:
    """A consumer that connects to nothing and records the options it was made with."""

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.topics: list[str] = []

    def subscribe(self, topics: list[str], **_: Any) -> None:
        self.topics = topics

    async def start(self) -> None: ...

    async def stop(self) -> None: ...

    async def getmany(self, **_: Any) -> dict[Any, Any]:
        return {}


def broker_with_subscriber() -> tuple[KafkaBroker, Any]:
    broker = KafkaBroker("127.0.0.1:1", consumer_only=True, allow_auto_create_topics=False, logger=None)
    subscriber = broker.subscriber(
        "a.topic", group_id="a-group", batch=True, ack_policy=AckPolicy.MANUAL, auto_offset_reset="earliest"
    )
    return broker, subscriber


def test_the_minor_release_is_the_one_that_the_seam_was_written_for() -> None:
    assert version("faststream").split(".")[:2] == ["0", "7"]


async def test_a_subscriber_reads_with_the_consumer_that_was_made_for_it() -> None:
    broker, subscriber = broker_with_subscriber()
    await start_with_consumers(broker, Recording)
    try:
        assert isinstance(subscriber.consumer, Recording)
        assert subscriber.consumer.topics == ["a.topic"]
        expected = {"group_id": "a-group", "auto_offset_reset": "earliest", "enable_auto_commit": False}
        assert expected.items() <= subscriber.consumer.options.items()
        assert not {"bootstrap_servers", "security_protocol"} & subscriber.consumer.options.keys()
    finally:
        await broker.stop()


async def test_a_release_that_makes_consumers_in_another_way_is_an_error() -> None:
    class Other(KafkaBroker):  # type: ignore[misc]
        async def start(self) -> None:
            for subscriber in self.subscribers:
                subscriber.consumer = Recording()

    broker = Other("127.0.0.1:1", consumer_only=True, logger=None)
    broker.subscriber("a.topic", group_id="a-group", batch=True, ack_policy=AckPolicy.MANUAL)
    with pytest.raises(SeamChanged, match="pin the former release"):
        await start_with_consumers(broker, Recording)
