"""Streams of public events: who receives what, without a loss over interruptions, over HTTP and Kafka."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest
from aiokafka import AIOKafkaProducer

from regista.client.async_client import AsyncClient
from regista.client.profile import Profile
from regista.errors import Forbidden
from regista.following.over_http import Frame, frames
from regista.wire.cloudevents import CloudEvent, to_kafka
from regista.wire.dsse import sign
from regista.wire.event_feed import cursor_of
from regista.wire.keys import SigningKey
from shared.deciding.access import KeyRevoked, RoleRevoked
from shared.foundation.settings import Settings
from shared.foundation.topics import topic_of
from shared.messaging.kafka import start_producer, stop_client
from tests.integration.audit.conftest import MODEL, OTHER, Log
from tests.integration.edges.conftest import People
from tests.processes import Running, running_here

NAMES = {MODEL: "fraud.scoring", OTHER: "crm.churn"}


@dataclass
class Services:
    """Appends events to the log and publishes them, as the services do."""

    log: Log
    people: People
    producers: dict[str, AIOKafkaProducer]
    published: dict[str, list[str]] = field(default_factory=lambda: defaultdict(list))

    async def append(self, stream: str, type_: str, service: str = "registry", **data: Any) -> CloudEvent:
        """Append an event. Return its message."""
        id_ = await self.log.append(service, stream, type_, data)
        return self.message(id_, stream, self.log.revisions[stream], type_, service, data)

    def message(
        self, id_: str, stream: str, revision: int, type_: str, service: str, data: dict[str, Any]
    ) -> CloudEvent:
        extensions = {
            "partitionkey": stream,
            "recordedtime": "2026-03-01T12:00:00Z",
            "revision": str(revision),
            "leaf": "ab",
        }
        event = CloudEvent(
            id_,
            f"/regista/{service}",
            f"regista.{service}.{type_}.v1",
            stream,
            "2026-03-01T12:00:00Z",
            json.dumps(data, sort_keys=True).encode(),
            extensions=extensions,
        )
        return sign(event, self.people.keys[f"service:{service}"])

    async def send(self, message: CloudEvent) -> None:
        service = message.source.removeprefix("/regista/")
        key, value, headers = to_kafka(message)
        await self.producers[service].send_and_wait(topic_of(service), value, key=key, headers=headers)
        self.published[message.subject].append(message.id)

    async def publish(self, stream: str, type_: str, service: str = "registry", **data: Any) -> str:
        message = await self.append(stream, type_, service, **data)
        await self.send(message)
        return message.id

    async def of_model(self, model_id: str, type_: str = "AliasSet") -> str:
        return await self.publish(f"model-{model_id}", type_, model_id=model_id, model=NAMES[model_id])


@pytest.fixture
async def services(empty_kafka: Any, log: Log, people: People) -> AsyncIterator[Services]:
    producers = {}
    for service in ("registry", "artifact"):
        await people.signer(f"service:{service}", "service")
        settings = Settings.from_environment(empty_kafka.service_environment(service))
        producers[service] = await start_producer(settings)
    found = Services(log, people, producers)
    for model_id in NAMES:
        await found.of_model(model_id, "ModelRegistered")
    yield found
    for producer in producers.values():
        await stop_client(producer)


@pytest.fixture
async def service(
    stack: Any, database: Any, tmp_path: Path, audit_key: SigningKey, services: Services
) -> AsyncIterator[Running]:
    async with running_here(stack, database, tmp_path, "audit", audit_key) as here:
        yield here


@contextlib.asynccontextmanager
async def streaming(
    service: Running, key: str, last: str = "", **query: Any
) -> AsyncIterator[AsyncIterator[Frame]]:
    """Yield the frames of a stream."""
    headers = {"last-event-id": last} if last else {}
    async with (
        asyncio.timeout(60),
        service.client(key) as client,
        client.stream("GET", "/v1/public-events", params=query, headers=headers) as answer,
    ):
        if answer.status_code != 200:
            raise AssertionError(f"{answer.status_code} {(await answer.aread()).decode()}")
        yield frames(answer.aiter_bytes())


async def begun(stream: AsyncIterator[Frame]) -> str:
    """Return the cursor with which a stream begins."""
    async for frame in stream:
        if frame.id:
            return frame.id
    raise AssertionError("the stream ended")


async def ids(stream: AsyncIterator[Frame], count: int) -> list[str]:
    """Return the ids of the next events; fewer, with the code, when the stream ends before."""
    found: list[str] = []
    while len(found) < count:
        frame = await anext(stream)
        if frame.kind == "end":
            return [*found, json.loads(frame.data)["code"]]
        if frame.data:
            found.append(json.loads(frame.data)["id"])
    return found


async def test_a_reader_receives_the_events_of_its_namespaces_and_no_others(
    services: Services, service: Running
) -> None:
    of_fraud = await services.people.person("ann", ("viewer", "fraud"))
    everywhere = await services.people.person("aud", ("auditor", "*"))
    async with streaming(service, of_fraud) as mine, streaming(service, everywhere) as all_:
        await begun(mine)
        await begun(all_)
        first = await services.of_model(OTHER)
        second = await services.of_model(MODEL)
        digest = "ab" * 32
        await services.append(
            f"artifact-{digest}", "ArtifactReceived", "artifact", model_id=OTHER, number=1, digest=digest
        )
        third = await services.publish(f"artifact-{digest}", "ArtifactVerified", "artifact", digest=digest)
        fourth = await services.of_model(MODEL)
        assert sorted(await ids(all_, 4)) == sorted([first, second, third, fourth])
        assert await ids(mine, 2) == [second, fourth]


async def test_over_any_cuts_each_stream_is_complete_and_in_order(
    services: Services, service: Running
) -> None:
    key = await services.people.person("aud", ("auditor", "*"))
    random_ = random.Random(7)

    async def write() -> None:
        for number in range(120):
            await services.of_model(MODEL if number % 3 else OTHER)

    writing = asyncio.ensure_future(write())
    last, got = "", list[dict[str, Any]]()
    while not writing.done() or len({one["id"] for one in got}) < 122:
        async with streaming(service, key, last, since="2026-01-01") as stream:
            for _ in range(random_.randint(1, 30)):
                frame = await anext(stream)
                if frame.kind == "end":
                    raise AssertionError(frame.data)
                last = frame.id or last
                if frame.data:
                    got.append(json.loads(frame.data))
                if writing.done() and len({one["id"] for one in got}) == 122:
                    break
    await writing
    for subject, published in services.published.items():
        assert [one["id"] for one in got if one["subject"] == subject] == published


async def test_a_message_waits_until_its_event_can_be_found_and_nothing_is_skipped(
    services: Services, service: Running
) -> None:
    """The reader's rights depend on the log: audit may be behind Kafka."""
    key = await services.people.person("ann", ("viewer", "fraud"))
    connection = services.log.connections["registry"]
    async with streaming(service, key) as stream:
        await begun(stream)
        transaction = connection.transaction()
        await transaction.start()
        hidden = await services.append(f"model-{MODEL}", "AliasSet", model_id=MODEL, model="fraud.scoring")
        await services.send(hidden)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await anext(stream)
        await transaction.commit()
    async with streaming(service, key, since="2026-01-01") as stream:
        assert hidden.id in await ids(stream, 2)


async def test_rights_that_are_withdrawn_take_effect_on_an_open_stream(
    services: Services, service: Running
) -> None:
    key = await services.people.person("ann", ("viewer", "fraud"), ("viewer", "crm"))
    async with streaming(service, key) as stream:
        await begun(stream)
        first = await services.of_model(OTHER)
        assert await ids(stream, 1) == [first]
        await services.people.append("ann", RoleRevoked("ann", "viewer", "crm"))
        await _read_access(service, key, "ann", roles=1)
        await services.of_model(OTHER)
        second = await services.of_model(MODEL)
        assert await ids(stream, 1) == [second]


async def _read_access(service: Running, key: str, subject: str, roles: int) -> None:
    """Wait until the service read what was appended: an unknown key makes it read all."""
    async with service.client("rg_unknown00000000_" + "x" * 42) as client:
        assert (await client.get("/v1/public-events")).status_code == 401


async def test_a_revoked_key_ends_the_stream(services: Services, service: Running) -> None:
    key = await services.people.person("ann", ("viewer", "fraud"))
    async with streaming(service, key) as stream:
        await begun(stream)
        await services.people.append("ann", KeyRevoked("ann", key.split("_")[1], "left"))
        assert await ids(stream, 1) == ["key_ended"]


async def test_a_stopping_service_ends_its_streams(
    services: Services, stack: Any, database: Any, tmp_path: Path, audit_key: SigningKey
) -> None:
    key = await services.people.person("ann", ("viewer", "fraud"))
    async with contextlib.AsyncExitStack() as open_:
        running = await open_.enter_async_context(running_here(stack, database, tmp_path, "audit", audit_key))
        stream = await _kept(running, key)
        await begun(stream)
        stopping = asyncio.ensure_future(open_.aclose())
        assert await ids(stream, 1) == ["stopping"]
        await stopping


async def _kept(service: Running, key: str) -> AsyncIterator[Frame]:
    client = service.client(key)
    answer = await client.send(client.build_request("GET", "/v1/public-events"), stream=True)
    return frames(answer.aiter_bytes())


async def test_one_caller_may_have_ten_streams(services: Services, service: Running) -> None:
    key = await services.people.person("ann", ("viewer", "fraud"))
    other = await services.people.person("bob", ("viewer", "fraud"))
    async with contextlib.AsyncExitStack() as open_, service.client(key) as client:
        streams = [await open_.enter_async_context(streaming(service, key)) for _ in range(10)]
        await asyncio.gather(*map(begun, streams))
        answer = await client.get("/v1/public-events")
        assert (answer.status_code, answer.json()["code"]) == (429, "too_many_feeds")
        await begun(await open_.enter_async_context(streaming(service, other)))

    async def has_room() -> bool:
        async with service.client(key) as client:
            return (await client.get("/v1/public-events", params={"follow": False})).status_code == 200

    assert await service.until(has_room)


async def test_a_selection_is_applied_and_without_follow_the_stream_ends(
    services: Services, service: Running
) -> None:
    key = await services.people.person("aud", ("auditor", "*"))
    renamed = await services.publish(
        f"model-{MODEL}", "ModelRenamed", model_id=MODEL, model="fraud.scores", previous="fraud.scoring"
    )
    alias = await services.of_model(OTHER)
    from_start: dict[str, Any] = {"since": "2026-01-01", "follow": False}

    async def indexed() -> bool:
        async with service.client(key) as client:
            answer = await client.head("/v1/public-events", params={"model": "fraud.scores"})
        return answer.status_code == 200

    assert await service.until(indexed)
    for query, wanted in (
        ({"model": "fraud.scores"}, {services.published[f"model-{MODEL}"][0], renamed}),
        ({"model": OTHER, "type": "AliasSet"}, {alias}),
        ({"namespace": "crm"}, set(services.published[f"model-{OTHER}"])),
        ({"type": "regista.registry.ModelRenamed.v1,RolledBack"}, {renamed}),
        ({"since": "2027-01-01"}, set()),
    ):
        async with streaming(service, key, **from_start | query) as stream:
            assert {*await ids(stream, 99)} == {*wanted, "caught_up"}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ({"cursor": "nonsense"}, 422, "invalid_cursor"),
        ({"type": "VersionPromotd"}, 422, "unknown_event_type"),
        ({"model": "crm.churn"}, 404, "unknown_model"),
        ({"model": "fraud.none"}, 404, "unknown_model"),
        ({"namespace": "crm"}, 404, "unknown_namespace"),
        ({"since": "yesterday"}, 422, "invalid_query"),
    ],
)
async def test_what_cannot_be_followed_is_refused_before_the_stream(
    services: Services, service: Running, query: dict[str, str], status: int, code: str
) -> None:
    key = await services.people.person("ann", ("viewer", "fraud"))
    async with service.client(key) as client:
        answer = await client.get("/v1/public-events", params=query)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_cursor_behind_the_end_names_what_to_do(services: Services, service: Running) -> None:
    key = await services.people.person("ann", ("viewer", "fraud"))
    async with streaming(service, key, cursor_of({("registry", 0): 10**9})) as stream:
        assert await ids(stream, 1) == ["cursor_unknown"]


async def test_a_message_that_no_service_signed_is_passed_over(services: Services, service: Running) -> None:
    key = await services.people.person("aud", ("auditor", "*"))
    async with streaming(service, key) as stream:
        await begun(stream)
        real = await services.append(f"model-{MODEL}", "AliasSet", model_id=MODEL, model="fraud.scoring")
        wrong = services.message(real.id, real.subject, 2, "AliasSet", "artifact", {"model_id": MODEL})
        extensions = {name: value for name, value in wrong.extensions.items() if name != "dssematerial"}
        key_, value, headers = to_kafka(CloudEvent(**{**_fields(wrong), "extensions": extensions}))
        await services.producers["artifact"].send_and_wait(
            topic_of("artifact"), value, key=key_, headers=headers
        )
        await services.send(real)
        assert await ids(stream, 1) == [real.id]


def _fields(event: CloudEvent) -> dict[str, Any]:
    names = ("id", "source", "type", "subject", "time", "data")
    return {name: getattr(event, name) for name in names}


class Reader(AsyncClient):
    """The client, with the keys of the test's services: no registry runs."""

    keys: list[dict[str, Any]]

    async def service_keys(self) -> list[dict[str, Any]]:
        return self.keys


@pytest.fixture
async def reader_of(
    services: Services, service: Running, stack: Any, tmp_path: Path
) -> AsyncIterator[Callable[..., Reader]]:
    made = []

    def make(api_key: str, user: str = "reader") -> Reader:
        kafka = stack.kafka
        profile = Profile(
            url=service.url,
            api_key=api_key,
            cache_dir=str(tmp_path),
            usage_window=0,
            kafka_bootstrap=kafka.bootstrap,
            kafka_user=user,
            kafka_password=kafka.password(user),
            kafka_security="SASL_PLAINTEXT",
        )
        found = Reader(profile)
        found._transport._urls = {"audit": service.url}
        found.keys = [
            {"kid": key.key_id, "subject": subject, "public_key": key.public.hex(), "valid_until": None}
            for subject, key in services.people.keys.items()
        ]
        made.append(found)
        return found

    yield make
    for one in made:
        await one.close()


async def test_a_cursor_is_the_same_over_http_and_from_kafka(
    services: Services, reader_of: Callable[..., Reader]
) -> None:
    client = reader_of(await services.people.person("aud", ("auditor", "*")))
    for number in range(20):
        await services.of_model(MODEL if number % 2 else OTHER)
    asked: dict[str, Any] = {"since": "2026-01-01", "follow": False}
    over_http = [one async for one in client.events(via="http", **asked)]
    from_kafka = [one async for one in client.events(via="kafka", **asked)]
    assert {one.id for one in over_http} == {one.id for one in from_kafka}
    assert {one.id: one.signed for one in over_http} == {one.id: one.signed for one in from_kafka}
    for first, second, found in (("http", "kafka", over_http), ("kafka", "http", from_kafka)):
        begin = found[9].cursor
        rest = [one.id async for one in client.events(via=second, since=begin, follow=False)]
        assert sorted(rest) == sorted(one.id for one in found[10:]), first


async def test_a_kafka_user_who_may_not_read_is_named(
    services: Services, reader_of: Callable[..., Reader]
) -> None:
    client = reader_of("", "pipeline")
    with pytest.raises(Forbidden, match="pipeline may not read"):
        await anext(client.events(via="kafka"))


async def test_unverified_callers_get_no_stream(services: Services, service: Running) -> None:
    async with httpx.AsyncClient(base_url=service.url) as client:
        assert (await client.get("/v1/public-events")).status_code == 401
    without_role = await services.people.person("eve")
    async with service.client(without_role) as client:
        assert (await client.get("/v1/public-events")).status_code == 403
