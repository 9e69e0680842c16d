"""Ask a broker for users, permissions and quotas, and set quotas, by messages of Kafka's protocol.

No admin client of ours has the calls for quotas. confluent-kafka has the others; but without the right to
read, librdkafka 2.16 ends the process at a question about users, and returns no permissions instead
of a refusal.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError
from aiokafka.protocol.api import Request, RequestStruct, Response
from aiokafka.protocol.types import (
    Array,
    Boolean,
    CompactArray,
    CompactString,
    Float64,
    Int8,
    Int16,
    Int32,
    Schema,
    String,
    TaggedFields,
)

from regista.kafka_reasons import kafka_reasons
from services.kafka.connection import ANSWERS_WITHIN, ClusterError, Connection
from services.kafka.found import FoundAcl

_TEXT = String("utf-8")
_ENTITY = Array(("entity_type", _TEXT), ("entity_name", _TEXT))
_COMPACT = CompactString("utf-8")
_EXACT = 0
_ANY = 1
_ALLOW = 3
_KINDS = {2: "TOPIC", 3: "GROUP", 4: "CLUSTER", 5: "TRANSACTIONAL_ID", 6: "DELEGATION_TOKEN", 7: "USER"}
_PATTERNS = {3: "LITERAL", 4: "PREFIXED"}
_OPERATIONS = dict(
    enumerate(
        (
            "ALL",
            "READ",
            "WRITE",
            "CREATE",
            "DELETE",
            "ALTER",
            "DESCRIBE",
            "CLUSTER_ACTION",
            "DESCRIBE_CONFIGS",
            "ALTER_CONFIGS",
            "IDEMPOTENT_WRITE",
            "CREATE_TOKENS",
            "DESCRIBE_TOKENS",
            "TWO_PHASE_COMMIT",
        ),
        2,
    )
)
_MECHANISMS = {1: "SCRAM-SHA-256", 2: "SCRAM-SHA-512"}
NOT_PERMITTED = 31
NO_AUTHORIZER = 54
RESOURCE_NOT_FOUND = 91
T = TypeVar("T")
logging.getLogger("aiokafka").addHandler(logging.NullHandler())  # its warnings are not for a terminal


class Refused(ClusterError):  # noqa: N818 - it is an answer
    """The broker answered with an error. `code` is that of the protocol."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


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


class _Acls(Response):  # type: ignore[misc]  # as above
    API_KEY = 29
    API_VERSION = 1
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", _TEXT),
        (
            "resources",
            Array(
                ("kind", Int8),
                ("name", _TEXT),
                ("pattern", Int8),
                (
                    "acls",
                    Array(("principal", _TEXT), ("host", _TEXT), ("operation", Int8), ("permission", Int8)),
                ),
            ),
        ),
    )


class _DescribeAcls(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 29
    API_VERSION = 1
    RESPONSE_TYPE = _Acls
    SCHEMA = Schema(
        ("kind", Int8),
        ("name", _TEXT),
        ("pattern", Int8),
        ("principal", _TEXT),
        ("host", _TEXT),
        ("operation", Int8),
        ("permission", Int8),
    )


class _AllAcls(Request[_DescribeAcls]):  # type: ignore[misc]  # as above
    API_KEY = 29

    def build(self, request_struct_class: type[_DescribeAcls]) -> _DescribeAcls:
        return request_struct_class(_ANY, None, _ANY, None, None, _ANY, _ANY)


class _Users(Response):  # type: ignore[misc]  # as above
    API_KEY = 50
    API_VERSION = 0
    SCHEMA = Schema(
        ("throttle_time_ms", Int32),
        ("error_code", Int16),
        ("error_message", _COMPACT),
        (
            "results",
            CompactArray(
                ("user", _COMPACT),
                ("error_code", Int16),
                ("error_message", _COMPACT),
                (
                    "credentials",
                    CompactArray(("mechanism", Int8), ("iterations", Int32), ("tags", TaggedFields)),
                ),
                ("tags", TaggedFields),
            ),
        ),
        ("tags", TaggedFields),
    )


class _DescribeUsers(RequestStruct):  # type: ignore[misc]  # as above
    API_KEY = 50
    API_VERSION = 0
    FLEXIBLE_VERSION = True
    RESPONSE_TYPE = _Users
    SCHEMA = Schema(
        ("users", CompactArray(("name", _COMPACT), ("tags", TaggedFields))), ("tags", TaggedFields)
    )


class _OfUsers(Request[_DescribeUsers]):  # type: ignore[misc]  # as above
    API_KEY = 50

    def __init__(self, users: list[str]) -> None:
        self._users = users

    def build(self, request_struct_class: type[_DescribeUsers]) -> _DescribeUsers:
        return request_struct_class([(user, {}) for user in self._users] or None, {})


def users_of(connection: Connection, users: Iterable[str]) -> dict[str, frozenset[str]]:
    """Return the SCRAM mechanisms of each user that has some; without `users`, of all.

    Raises Refused and ClusterError.
    """

    async def read(client: Any) -> dict[str, frozenset[str]]:
        answer = await client.send(client.get_random_node(), _OfUsers(sorted(users)))
        _raise_if_refused(answer.error_code, answer.error_message)
        found = {}
        for user, code, message, credentials, _tags in answer.results:
            if code != RESOURCE_NOT_FOUND:
                _raise_if_refused(code, message)
                found[user] = frozenset(_MECHANISMS.get(one[0], str(one[0])) for one in credentials)
        return found

    return _asked(connection, read)


def all_acls(connection: Connection) -> frozenset[FoundAcl]:
    """Return all permissions and prohibitions of the cluster. Raises Refused and ClusterError."""

    async def read(client: Any) -> frozenset[FoundAcl]:
        answer = await client.send(client.get_random_node(), _AllAcls())
        _raise_if_refused(answer.error_code, answer.error_message)
        return frozenset(
            FoundAcl(
                principal.removeprefix("User:"),
                _KINDS.get(kind, str(kind)),
                name,
                _OPERATIONS.get(operation, str(operation)),
                _PATTERNS.get(pattern, str(pattern)),
                host,
                permission == _ALLOW,
            )
            for kind, name, pattern, acls in answer.resources
            for principal, host, operation, permission in acls
        )

    return _asked(connection, read)


def _raise_if_refused(code: int, message: str | None) -> None:
    if code:
        raise Refused(code, message or f"error {code}")


def quotas_of(connection: Connection, users: Iterable[str]) -> dict[str, dict[str, float]]:
    """Return the quotas of each user by name. Raises ClusterError when the cluster does not answer that."""

    async def read(client: Any) -> dict[str, dict[str, float]]:
        found = {}
        for user in users:
            answer = await client.send(client.get_random_node(), _Describe(user))
            _raise_if_refused(answer.error_code, answer.error_message)
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
        with kafka_reasons() as reasons, ThreadPoolExecutor(1) as thread:
            return thread.submit(lambda: asyncio.run(answer())).result()
    except (KafkaError, NotImplementedError, TimeoutError, OSError) as error:
        raise ClusterError(f"{type(error).__name__}: {reasons.with_error(error)}") from error
