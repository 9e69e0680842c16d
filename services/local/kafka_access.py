"""Wait for a broker; create, delete and empty topics."""

# mypy: disable-error-code="attr-defined"
# (confluent_kafka.admin does not list its classes in __all__)

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping

from confluent_kafka import KafkaError, KafkaException
from confluent_kafka.admin import AdminClient, NewTopic

from services.kafka.topics import PARTITIONS
from services.local.folders import LocalError

LINGERS = 25.0  # seconds; a killed consumer stays in its group until its session times out


def await_broker(admin: AdminClient, patience: float, still_there: Callable[[], None]) -> None:
    """Wait until the broker answers for its metadata. `still_there` raises when the broker has ended."""
    deadline = time.monotonic() + patience
    while True:
        try:
            if admin.list_topics(timeout=0.5).brokers:
                return
        except KafkaException:
            still_there()
            if time.monotonic() > deadline:
                raise


def make_topics(
    admin: AdminClient, wanted: Mapping[str, Mapping[str, str]], partitions: int = PARTITIONS
) -> None:
    """Create the missing topics."""
    present = admin.list_topics(timeout=10).topics
    missing = [
        NewTopic(name, partitions, 1, config=dict(config))
        for name, config in wanted.items()
        if name not in present
    ]
    if missing:
        _all_done(admin.create_topics(missing).values(), already=KafkaError.TOPIC_ALREADY_EXISTS)


def delete_topics(admin: AdminClient, names: Iterable[str]) -> None:
    """Delete topics; skip those that do not exist."""
    _all_done(admin.delete_topics(list(names)).values(), already=KafkaError.UNKNOWN_TOPIC_OR_PART)


def empty_topics(admin: AdminClient, wanted: Mapping[str, Mapping[str, str]]) -> None:
    """Create the topics again without messages, and delete the offsets of every group.

    For tests. All consumers must have ended.
    """
    deadline = time.monotonic() + LINGERS
    while groups := [group.group_id for group in admin.list_consumer_groups().result(10).valid]:
        try:
            _all_done(admin.delete_consumer_groups(groups).values(), already=KafkaError.GROUP_ID_NOT_FOUND)
        except LocalError as refused:
            if "NON_EMPTY_GROUP" not in str(refused) or time.monotonic() > deadline:
                raise
            time.sleep(0.5)
    delete_topics(admin, wanted)
    _all_done(
        admin.create_topics(
            [NewTopic(name, PARTITIONS, 1, config=dict(config)) for name, config in wanted.items()]
        ).values()
    )


def _all_done(futures: Iterable[object], already: int | None = None) -> None:
    for future in futures:
        try:
            future.result(20)
        except KafkaException as refused:
            if refused.args[0].code() != already:
                raise LocalError(f"Kafka refused its set-up: {refused}") from refused
