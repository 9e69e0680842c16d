"""Collect what runs, where, whether it is ready, and how far it is behind: `regista status`."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from typing import Any

import asyncpg
from confluent_kafka import KafkaException

from services.local import keycloak
from services.local.amounts import Amounts, amounts
from services.local.fronts import PROCESSES
from services.local.instance import Instance
from services.local.lag import consumer_lag, relay_lag
from services.local.stack import STATE as STACK
from services.local.supervisor_state import ProcessState, SupervisorState, read_state


@dataclass(frozen=True, slots=True)
class Part:
    """One process.

    `why` is what it waits for, or how it ended; `ended` is the part of it that ended although it runs; `last`
    is how its process ended before, if it was started again; `in_a_row` counts ends soon after a start.
    """

    name: str
    where: str
    running: bool
    ready: bool
    why: str
    pid: int
    up: float  # seconds
    exits: int
    resident: int  # bytes
    ended: str = ""
    last: str = ""
    in_a_row: int = 0


@dataclass(frozen=True, slots=True)
class Status:
    """The whole status; `problem` is why it is incomplete."""

    phase: str
    problem: str
    parts: list[Part] = field(default_factory=list)
    consumers: dict[str, dict[str, int]] = field(default_factory=dict)
    relays: dict[str, int] = field(default_factory=dict)
    unknown: dict[str, str] = field(default_factory=dict)
    """Why the lag of `consumers` or `relays` could not be read."""
    amounts: Amounts = field(default_factory=dict)
    """Sizes, versions by stage, and reviews that wait, as the services measured them last."""
    ages: dict[str, float] = field(default_factory=dict)
    """How many seconds ago each of `amounts` was measured."""

    @property
    def ready(self) -> bool:
        """Whether everything runs, is ready, and its lag could be read."""
        return (
            bool(self.parts)
            and self.phase == "running"
            and not self.unknown
            and all(part.ready for part in self.parts)
        )


def gather(instance: Instance, *, lags: bool = True) -> Status:
    """Query all processes in parallel."""
    state = read_state(instance.folder)
    if state is None or not state.supervisor.alive():
        return Status(
            "stopped", state.problem if state and state.phase == "failed" else "", _left_over(state)
        )
    instance.stack.postgres.given = instance.folder.read(STACK).get("postgres_given", "")
    with ThreadPoolExecutor(8) as threads:
        queries: dict[str, Callable[[], dict[str, Any]]] = {
            "consumers": lambda: consumer_lag(instance.stack.kafka.admin()),
            "relays": lambda: asyncio.run(relay_lag(instance.stack.owner_url())),
        }
        answers = {name: threads.submit(_lag, query) for name, query in queries.items()} if lags else {}
        parts = list(threads.map(lambda one: _part(instance, *one), state.processes.items()))
        ages: dict[str, float] = {}
        measured = amounts(instance, _get, ages) if lags else {}
        lags_found = {name: answer.result() for name, answer in answers.items()}
    unknown = {name: found for name, found in lags_found.items() if isinstance(found, str)}
    return Status(
        state.phase,
        state.problem,
        [_as_used(part, unknown) for part in parts],
        **{name: found for name, found in lags_found.items() if not isinstance(found, str)},
        unknown=unknown,
        amounts=measured,
        ages=ages,
    )


READ_FROM = {"kafka": "consumers", "postgres": "relays"}
"""The server that is asked for each lag."""


def _as_used(part: Part, unknown: dict[str, str]) -> Part:
    """Return a server that runs and from which no lag could be read as not ready: it may hang, or start."""
    why = unknown.get(READ_FROM.get(part.name, ""))
    return (
        part if why is None or not part.ready else replace(part, ready=False, why=f"cannot be used ({why})")
    )


def _lag(query: Callable[[], dict[str, Any]]) -> dict[str, Any] | str:
    """Return the lags, or why they cannot be read."""
    try:
        return query()
    except (
        KafkaException,
        OSError,
        TimeoutError,
        KeyError,
        asyncpg.PostgresError,
        asyncpg.InterfaceError,
    ) as error:
        return f"{type(error).__name__}: {error}".rstrip(": ")


def _left_over(state: SupervisorState | None) -> list[Part]:
    found = state.processes if state else {}
    return [
        _described(name, one, "", ready=False, why="its supervisor has ended")
        for name, one in found.items()
        if one.identity.alive()
    ]


def _part(instance: Instance, name: str, one: ProcessState) -> Part:
    if name not in PROCESSES:
        return _described(name, one, _address(instance, name), ready=one.identity.alive(), why=one.last)
    if not one.identity.alive():
        return _described(name, one, instance.urls[name], ready=False, why=one.last)
    ready, why = _readiness(instance.urls[name])
    ended = "" if ready else _ended(instance.urls[name])
    return _described(name, one, instance.urls[name], ready=ready, why=why, ended=ended)


def _described(name: str, one: ProcessState, where: str, *, ready: bool, why: str, ended: str = "") -> Part:
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
        ended,
        one.last if running and one.exits else "",
        one.in_a_row,
    )


def _address(instance: Instance, name: str) -> str:
    stack = instance.stack
    if name == keycloak.NAME:
        return stack.keycloak.issuer
    return {
        "postgres": stack.postgres.address,
        "kafka": stack.kafka.bootstrap,
        stack.store: stack.store_url,
    }[name]


def _readiness(url: str) -> tuple[bool, str]:
    """Query `/readyz`."""
    try:
        status, content = _get(url, "/readyz")
    except (OSError, HTTPException) as error:
        return False, f"does not answer yet ({type(error).__name__})"
    return status == HTTPStatus.OK, "" if status == HTTPStatus.OK else _reasons(content)


def _ended(url: str) -> str:
    """Return the part of a process that ended although the process runs, or ""."""
    try:
        _, content = _get(url, "/healthz")
        return str(json.loads(content).get("ended", ""))
    except (OSError, HTTPException, ValueError, AttributeError):
        return ""


def _get(url: str, path: str) -> tuple[int, bytes]:
    """Send a request. The plain HTTP client takes 0.1 ms; this runs often while everything starts."""
    connection = HTTPConnection(url.removeprefix("http://"), timeout=3.0)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()


def _reasons(content: bytes) -> str:
    """Return the reasons of a readiness answer in one line."""
    try:
        answer = json.loads(content)
    except ValueError:
        return content[:200].decode(errors="replace")
    reasons = answer.get("reasons", answer)
    return (
        "; ".join(f"{part}: {why}" for part, why in reasons.items())
        if isinstance(reasons, dict)
        else str(reasons)
    )
