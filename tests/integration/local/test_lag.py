"""How far consumer groups are behind, on a real broker."""

from __future__ import annotations

from confluent_kafka import Consumer, Producer, TopicPartition

from services.kafka.topics import PARTITIONS, USAGE
from services.local.kafka import SECURITY
from services.local.lag import consumer_lag
from services.local.stack import Stack

GROUP = f"cleanup.{USAGE}"


def login(stack: Stack, user: str) -> dict[str, object]:
    return {
        "bootstrap.servers": stack.kafka.bootstrap,
        "security.protocol": SECURITY,
        "sasl.mechanism": "SCRAM-SHA-512",
        "sasl.username": user,
        "sasl.password": stack.kafka.password(user),
    }


def test_partitions_of_which_nothing_was_read_count_from_their_beginning(empty_kafka: Stack) -> None:
    producer = Producer(login(empty_kafka, "serving"))
    for partition in range(PARTITIONS):
        for _ in range(3):
            producer.produce(USAGE, b"x", partition=partition)
    assert producer.flush(15) == 0
    consumer = Consumer({**login(empty_kafka, "cleanup"), "group.id": GROUP})
    consumer.commit(offsets=[TopicPartition(USAGE, 0, 2)], asynchronous=False)
    consumer.close()
    assert consumer_lag(empty_kafka.kafka.admin())[GROUP] == {USAGE: 3 * PARTITIONS - 2}
