"""Messages from a real broker: authentic ones have their effect once, others become dead letters."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from regista.wire.cloudevents import to_kafka
from regista.wire.dsse import sign
from regista.wire.keys import SigningKey, generate_signing_key
from shared.deciding.access import KeyRevoked, RoleGranted
from tests.integration.edges.conftest import People, Send, Toy, counted, dead_letters, event, total
from tests.integration.edges.toy import TOPIC

pytestmark = pytest.mark.servers
GROUP = f"registry.regista.toy.{TOPIC}"


async def test_one_malformed_message_among_ten_does_not_lose_the_other_nine(
    start_toy: Callable[..., Toy], send: Send, publisher: SigningKey, operator: str, database: Any
) -> None:
    for n in range(10):
        await send(
            (b"\xff\x00no event", [("junk", b"\xff\xfe")]) if n == 4 else event(),
            publisher if n != 4 else None,
        )
    toy = start_toy()
    await counted(toy, database, 9)
    (dead_letter,) = await dead_letters(toy, operator, 1)
    assert (dead_letter["topic"], dead_letter["partition"], dead_letter["offset"], dead_letter["group"]) == (
        TOPIC,
        0,
        4,
        GROUP,
    )
    assert "CloudEvent" in dead_letter["reason"]


async def test_each_kind_of_bad_message_becomes_a_dead_letter_with_its_reason_and_the_partition_goes_on(
    start_toy: Callable[..., Toy],
    send: Send,
    people: People,
    publisher: SigningKey,
    operator: str,
    database: Any,
) -> None:
    toy = start_toy()
    stranger = generate_signing_key("pipeline")
    gone = await people.signer("gone", "publisher", ("publisher", "toys"))
    await people.append("gone", KeyRevoked("gone", gone.key_id, "lost"))
    other = await people.signer("other", "publisher", ("publisher", "toys"))
    roleless = await people.signer("roleless", "publisher", ("publisher", "games"))
    _, value, headers = to_kafka(sign(event(), publisher))
    bad: list[tuple[Any, SigningKey | None, str]] = [
        (event(), None, "not signed"),
        (event(), stranger, "which is unknown"),
        (event(source="/publishers/gone"), gone, "which is revoked or expired"),
        (event(), other, "may not publish"),
        ((value.replace(b"1", b"2"), headers), None, "altered"),
        (event(type_="toy.Counted.v9"), publisher, "not known here"),
        (event(by="many"), publisher, "no whole number"),
        (event(by=-1), publisher, "negative"),
        (event(source="/publishers/roleless"), roleless, "role_missing"),
        (replace(event(), data=b"[1]"), publisher, "must be a JSON object"),
        (replace(event(), data=b'{"by": NaN}'), publisher, "not JSON that can be stored"),
        (
            replace(event(), data=b'{"by": 1, "x": "' + b"x" * 1_100_000 + b'"}'),
            publisher,
            "at most 1,048,576",
        ),
        (event(by=1, fault=True), publisher, "failed 3 times"),
        ((None, headers), None, "no data"),
    ]
    for what, key, _ in bad:
        await send(what, key)
    await send(event(), publisher)
    await counted(toy, database, 1)
    found = await dead_letters(toy, operator, len(bad))
    for dead_letter, (_, _, reason) in zip(sorted(found, key=lambda one: one["offset"]), bad, strict=True):
        assert reason in dead_letter["reason"], dead_letter


async def test_a_message_delivered_twice_counts_once_and_its_id_with_other_content_becomes_a_dead_letter(
    start_toy: Callable[..., Toy], send: Send, publisher: SigningKey, operator: str, database: Any
) -> None:
    toy = start_toy()
    once = event(id_="one")
    for what in (once, once, event(id_="one", by=2), event(by=1)):
        await send(what, publisher)
    await counted(toy, database, 2)
    (dead_letter,) = await dead_letters(toy, operator, 1)
    assert "idempotency_mismatch" in dead_letter["reason"]


async def test_a_misrouted_message_is_prepared_again(
    start_toy: Callable[..., Toy], send: Send, publisher: SigningKey, database: Any
) -> None:
    toy = start_toy()
    await send(event(by=1, moved=True), publisher)
    await counted(toy, database, 1)


async def test_a_follow_up_runs_after_the_batch_is_committed(
    start_toy: Callable[..., Toy], send: Send, publisher: SigningKey, database: Any
) -> None:
    toy = start_toy()
    await send(event(by=1, twice=True), publisher)
    await counted(toy, database, 2)


async def test_a_dead_letter_is_shown_and_replayed_after_its_cause_is_fixed(
    start_toy: Callable[..., Toy], send: Send, people: People, operator: str, database: Any
) -> None:
    toy = start_toy()
    late = await people.signer("late", "publisher")
    await send(event(source="/publishers/late"), late)
    (dead_letter,) = await dead_letters(toy, operator, 1)
    async with toy.client(operator) as client:
        shown = (await client.get(f"/v1/dlq/{dead_letter['id']}")).json()
        assert (shown["value"], shown["encoding"], shown["headers"]["ce_source"]) == (
            '{"by":1}',
            "text",
            "/publishers/late",
        )
        await people.append("late", RoleGranted("late", "publisher", "toys"))
        replayed = await client.post(f"/v1/dlq/{dead_letter['id']}:replay")
        assert (replayed.status_code, replayed.json()["topic"]) == (202, TOPIC)
        await counted(toy, database, 1)
        assert (await client.get("/v1/dlq")).json()["items"] == []
        assert (await client.get("/v1/dlq", params={"replayed": True})).json()["items"][0][
            "replayed_by"
        ] == "otto"
        assert (await client.get("/v1/dlq/regista.training.v1.dlq~0~99")).status_code == 404
        assert (await client.get("/v1/dlq/nothing")).status_code == 404


async def test_a_dead_letter_of_another_services_topic_is_replayed_at_its_owner(
    start_toy: Callable[..., Toy], send: Send, operator: str
) -> None:
    toy = start_toy()
    await send((b"{}", []), None, topic="regista.artifact.events.v1", user="artifact")
    (dead_letter,) = await dead_letters(toy, operator, 1)
    async with toy.client(operator) as client:
        answer = await client.post(f"/v1/dlq/{dead_letter['id']}:replay")
    assert (answer.status_code, answer.json()["code"]) == (409, "not_ours_to_replay")


async def test_two_replicas_share_the_work_and_one_killed_in_the_middle_loses_and_doubles_nothing(
    start_toy: Callable[..., Toy], send: Send, publisher: SigningKey, database: Any
) -> None:
    first, second = start_toy(publisher), start_toy(publisher)
    await asyncio.gather(first.ready(), second.ready())
    for n in range(400):
        await send(event(f"c{n % 8}"), publisher, partition=n % 4)
        if n == 150:
            first.child.send_signal(signal.SIGKILL)

    async def all_counted(_: Any) -> bool:
        return sum([await total(database, f"counter-c{n}") for n in range(8)]) >= 400

    async def took_over(client: Any) -> bool:
        lags = (await client.get("/metrics")).text
        return all(
            f'regista_consumer_lag{{group="{GROUP}",partition="{n}",topic="{TOPIC}"}} 0.0' in lags
            for n in range(4)
        )

    await second.poll(all_counted, 60)
    await second.poll(took_over, 60)
    assert [await total(database, f"counter-c{n}") for n in range(8)] == [50] * 8


HEADER_OF_BYTES = """
import asyncio, sys
from aiokafka import AIOKafkaProducer

class Name(str):
    def encode(self, *_):
        return b"\\xff\\xfe"

async def main(bootstrap, password, topic):
    producer = AIOKafkaProducer(
        bootstrap_servers=bootstrap, security_protocol="SASL_PLAINTEXT", sasl_mechanism="SCRAM-SHA-512",
        sasl_plain_username="pipeline",
        sasl_plain_password=password)
    await producer.start()
    await producer.send_and_wait(topic, value=b"x", headers=[(Name("x"), b"1")], partition=0)
    await producer.stop()

asyncio.run(main(*sys.argv[1:]))
"""


async def test_a_record_that_the_client_cannot_parse_becomes_a_dead_letter_and_takes_no_other_with_it(
    start_toy: Callable[..., Toy],
    send: Send,
    publisher: SigningKey,
    operator: str,
    database: Any,
    empty_kafka: Any,
) -> None:
    arguments = [empty_kafka.kafka.bootstrap, empty_kafka.kafka.password("pipeline"), TOPIC]
    for unreadable in (False, True, False, True, True, False):
        if unreadable:  # only aiokafka's Python encoder can be made to send it
            environment = {**os.environ, "AIOKAFKA_NO_EXTENSIONS": "1"}
            await asyncio.to_thread(
                subprocess.run,
                [sys.executable, "-c", HEADER_OF_BYTES, *arguments],
                env=environment,
                check=True,
            )
        else:
            await send(event(), publisher)
    toy = start_toy()
    await counted(toy, database, 3)
    found = await dead_letters(toy, operator, 3)
    assert {dead_letter["offset"] for dead_letter in found} == {1, 3, 4}
    assert all("cannot be parsed" in dead_letter["reason"] for dead_letter in found)
    await send(event(), publisher)
    await counted(toy, database, 4)
