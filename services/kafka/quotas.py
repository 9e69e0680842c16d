"""Read and set quotas of Kafka users by the broker's protocol: no admin client of ours has these calls."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int8, Int16, Int32, Schema, String

from services.kafka.connection import ANSWERS_WITHIN, ClusterError, Connection

_TEXT = String("utf-8")
_ENTITY = Array(("entity_type", _TEXT), ("entity_name", _TEXT))
_EXACT = 0
T = TypeVar("T")


class _Altered(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", _TEXT), ("entity", _ENTITY))),
    )


class _AlterClientQuotas(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Altered
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY), ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean)))
            ),
        ),
        ("validate_only", Boolean),
    )


class _Alter(Request[_AlterClientQuotas]):  # type: ignore[misc]  # as above
    API_KEY = 49

    def __init__(self, entries: list[object]) -> None:
        self._entries = entries

    def build(self, request_struct_class: type[_AlterClientQuotas]) -> _AlterClientQuotas:
        return request_struct_class(self._entries, False)


class _Described(Response):  # type: ignore[misc]  # as above
    API_KEY = 48
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", _TEXT),
        ("entries", Array(("entity", _ENTITY), ("values", Array(("key", _TEXT), ("value", Float64))))),
    )


class _DescribeClientQuotas(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 48
    API_VERSION = 0
    RESPONSE_TYPE = _Described
    SCHEMA = Schema(
        ("components", Array(("entity_type", _TEXT), ("match_type", Int8), ("match", _TEXT))),
        ("strict", Boolean),
    )


class _Describe(Request[_DescribeClientQuotas]):  # type: ignore[misc]  # as above
    API_KEY = 48

    def __init__(self, user: str) -> None:
        self._user = user

    def build(self, request_struct_class: type[_DescribeClientQuotas]) -> _DescribeClientQuotas:
        return request_struct_class([("user", _EXACT, self._user)], True)


def quotas_of(connection: Connection, users: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return the quotas of each user by name. Raises ClusterError when the cluster does not answer that."""

    async def read(client: Any) -> dict[str, dict[str, float]]:
        found = {}
        for user in users:
            answer = await client.send(client.get_random_node(), _Describe(user))
            if answer.error_code:
                raise ClusterError(f"{answer.error_message or 'refused'} (error {answer.error_code})")
            found[user] = {key: value for _entity, values in answer.entries for key, value in values}
        return found

    return _asked(connection, read)


def set_quotas(connection: Connection, wanted: Mapping[str, Mapping[str, float]]) -> None:
    """Set the quotas of these users. Raises ClusterError when the broker refuses."""
    entries: list[object] = [
        ([("user", name)], [(key, value, False) for key, value in sorted(limits.items())])
        for name, limits in sorted(wanted.items())
    ]

    async def alter(client: Any) -> None:
        answer = await client.send(client.get_random_node(), _Alter(entries))
        for code, message, entity in answer.entries:
            if code:
                raise ClusterError(f"Kafka refused the quotas of {entity}: {message} (error {code})")

    _asked(connection, alter)


def _asked(connection: Connection, question: Callable[[Any], Awaitable[T]]) -> T:
    """Return the answer to a question. It runs in a thread: the caller may be on an event loop."""
    options = connection.aiokafka()

    async def answer() -> T:
        client = AIOKafkaClient(**options)
        try:
            async with asyncio.timeout(ANSWERS_WITHIN):
                await client.bootstrap()
                return await question(client)
        finally:
            await client.close()

    try:
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(answer())).result()
    except (KafkaError, TimeoutError, OSError) as error:
        raise ClusterError(f"quotas: {type(error).__name__}: {error}") from error
