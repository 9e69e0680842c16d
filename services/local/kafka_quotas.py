"""Set the quotas of Kafka users by the broker's protocol: no admin client has the call AlterClientQuotas."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor

from aiokafka.client import AIOKafkaClient
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import Array, Boolean, Float64, Int16, Int32, Schema, String

from services.local.folders import LocalError

ANSWERED_WITHIN = 20.0
_TEXT = String("utf-8")
_ENTITY = Array(("entity_type", _TEXT), ("entity_name", _TEXT))


class _Answer(Response):  # type: ignore[misc]  # aiokafka has no types
    API_KEY = 49
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("entries", Array(("error_code", Int16), ("error_message", _TEXT), ("entity", _ENTITY))),
    )


class _AlterClientQuotas(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 49
    API_VERSION = 0
    RESPONSE_TYPE = _Answer
    SCHEMA = Schema(
        (
            "entries",
            Array(
                ("entity", _ENTITY), ("ops", Array(("key", _TEXT), ("value", Float64), ("remove", Boolean)))
            ),
        ),
        ("validate_only", Boolean),
    )


class _Quotas(Request[_AlterClientQuotas]):  # type: ignore[misc]  # as above
    API_KEY = 49

    def __init__(self, entries: list[object]) -> None:
        self._entries = entries

    def build(self, request_struct_class: type[_AlterClientQuotas]) -> _AlterClientQuotas:
        return request_struct_class(self._entries, False)


def set_quotas(bootstrap: str, user: str, password: str, wanted: Mapping[str, Mapping[str, float]]) -> None:
    """Set the quotas of these users as the super user `user`. Raises LocalError when the broker refuses."""
    with ThreadPoolExecutor(1) as thread:  # the caller may be on an event loop
        thread.submit(lambda: asyncio.run(_set(bootstrap, user, password, wanted))).result()


async def _set(bootstrap: str, user: str, password: str, wanted: Mapping[str, Mapping[str, float]]) -> None:
    entries: list[object] = [
        ([("user", name)], [(key, value, False) for key, value in sorted(limits.items())])
        for name, limits in sorted(wanted.items())
    ]
    client = AIOKafkaClient(
        bootstrap_servers=bootstrap,
        security_protocol="SASL_PLAINTEXT",
        sasl_mechanism="PLAIN",
        sasl_plain_username=user,
        sasl_plain_password=password,
    )
    try:
        async with asyncio.timeout(ANSWERED_WITHIN):
            await client.bootstrap()
            answer = await client.send(client.get_random_node(), _Quotas(entries))
    finally:
        await client.close()
    for code, message, entity in answer.entries:
        if code:
            raise LocalError(f"Kafka refused the quotas of {entity}: {message} (error {code})")
