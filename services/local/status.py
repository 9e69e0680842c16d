"""What runs, where, whether it is ready and why not, and how far it is behind: `regista status`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

import asyncpg
from confluent_kafka import KafkaException

from services.local.instance import Instance
from services.local.lag import consumer_lag, relay_lag
from services.local.stack import STATE as STACK
from services.local.state import Running, State, read_state
from services.local.topics import SERVICES


@dataclass(frozen=True, slots=True)
class Part:
    """One process. `why` says what it waits for, or how it ended."""

    name: str
    where: str
    running: bool
    ready: bool
    why: str
    pid: int
    up: float  # seconds
    exits: int
    resident: int  # bytes


@dataclass(frozen=True, slots=True)
class Status:
    """The whole answer; `problem` is what stands in the way of it."""

    phase: str
    problem: str
    parts: list[Part] = field(default_factory=list)
    consumers: dict[str, dict[str, int]] = field(default_factory=dict)
    relays: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(
        default_factory=dict
    )  # why it cannot be said how far `consumers` or `relays` are behind

    @property
    def ready(self) -> bool:
        """Everything runs, says it can work, and tells how far it is behind."""
        return (
            bool(self.parts)
            and self.phase == "running"
            and not self.unknown
            and all(part.ready for part in self.parts)
        )


def gather(instance: Instance, *, lags: bool = True) -> Status:
    """Asks everybody at once."""
    state = read_state(instance.place)
    if state is None or not state.supervisor.alive():
        return Status(
            "stopped", state.problem if state and state.phase == "failed" else "", _left_over(state)
        )
    instance.stack.postgres.given = instance.place.read(STACK).get("postgres_given", "")
    with ThreadPoolExecutor(8) as threads:
        asked: dict[str, Callable[[], dict[str, Any]]] = {
            "consumers": lambda: consumer_lag(instance.stack.kafka.admin()),
            "relays": lambda: asyncio.run(relay_lag(instance.stack.owner_url())),
        }
        answers = {name: threads.submit(_told, ask) for name, ask in asked.items()} if lags else {}
        parts = list(threads.map(lambda one: _part(instance, *one), state.processes.items()))
        told = {name: answer.result() for name, answer in answers.items()}
    unknown = {name: found for name, found in told.items() if isinstance(found, str)}
    return Status(
        state.phase,
        state.problem,
        parts,
        **{name: found for name, found in told.items() if not isinstance(found, str)},
        unknown=unknown,
    )


def _told(ask: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    """How far behind, or why that cannot be said."""
    try:
        return ask()
    except (
        KafkaException,
        OSError,
        TimeoutError,
        KeyError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as away:
        return f"{type(away).__name__}: {away}".rstrip(": ")


def _left_over(state: State | None) -> list[Part]:
    found = state.processes if state else {}
    return [
        _described(name, one, "", ready=False, why="its supervisor is gone")
        for name, one in found.items()
        if one.identity.alive()
    ]


def _part(instance: Instance, name: str, one: Running) -> Part:
    if name not in SERVICES:
        return _described(name, one, _address(instance, name), ready=one.identity.alive(), why=one.last)
    ready, why = _readiness(instance.urls[name]) if one.identity.alive() else (False, one.last)
    return _described(name, one, instance.urls[name], ready=ready, why=why)


def _described(name: str, one: Running, where: str, *, ready: bool, why: str) -> Part:
    running = one.identity.alive()
    up = time.time() - one.since if running else 0.0
    return Part(
        name,
        where,
        running,
        ready and running,
        why,
        one.identity.pid,
        round(up, 1),
        one.exits,
        one.identity.resident() if running else 0,
    )


def _address(instance: Instance, name: str) -> str:
    stack = instance.stack
    return {
        "postgres": stack.postgres.address,
        "kafka": stack.kafka.bootstrap,
        "s3": f"http://{stack.s3.endpoint}",
    }[name]


def _readiness(url: str) -> tuple[bool, str]:
    """Asked often while everything starts: by the plainest client, which costs a tenth of a millisecond."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=3.0)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        content = answer.read()
    except (OSError, HTTPException) as away:
        return False, f"does not answer yet ({type(away).__name__})"
    finally:
        connection.close()
    return answer.status == HTTPStatus.OK, "" if answer.status == HTTPStatus.OK else _reasons(content)


def _reasons(content: bytes) -> str:
    """The reasons of a readiness answer, in one line."""
    try:
        told = json.loads(content)
    except ValueError:
        return content[:200].decode(errors="replace")
    reasons = told.get("reasons", told)
    return (
        "; ".join(f"{part}: {why}" for part, why in reasons.items())
        if isinstance(reasons, dict)
        else str(reasons)
    )
