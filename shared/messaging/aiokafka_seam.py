# ruff: noqa: SLF001 - aiokafka has no public way to close a client without an answer of the broker
"""Close a client of aiokafka whose own `stop` does not end.

This is the only file that uses what aiokafka does not document. Without a broker, `stop` waits for
answers that never come. A client that is left behind keeps its place in the consumer group, logs errors
without end, and reads partitions that the group's other members then miss.
tests/integration/edges/test_kafka_clients.py checks that no task and no connection of a client remains.
"""

from __future__ import annotations

import asyncio
from typing import Any


def abandon(client: Any) -> list[asyncio.Task[Any]]:
    """Cancel all tasks of a consumer or producer, close its connections and return the tasks that still run.

    Messages that a producer has not sent are lost, and their futures stay pending: wait for them with a time
    limit. Call it again while it returns
    tasks: the sender of a producer waits for its requests when it is cancelled.
    """
    client._closed = True
    parts = [client, *(getattr(client, name, None) for name in ("_coordinator", "_fetcher", "_sender"))]
    parts += [getattr(client, name, None) for name in ("_client", "client", "_message_accumulator")]
    for part in parts:
        closing = getattr(part, "_closing", None)
        if isinstance(closing, asyncio.Future) and not closing.done():
            closing.set_result(None)
        for connection in list(getattr(part, "_conns", {}).values()):
            connection.close()
    tasks = _tasks_of([part for part in parts if part is not None])
    for task in tasks:
        task.cancel()
    return tasks


def _tasks_of(parts: list[Any]) -> list[asyncio.Task[Any]]:
    """Return the running tasks of methods of these objects, but not a call of `stop`."""
    owners = {id(part) for part in parts}
    found = []
    for task in asyncio.all_tasks():
        frame = getattr(task.get_coro(), "cr_frame", None)
        if frame is not None and id(frame.f_locals.get("self")) in owners and frame.f_code.co_name != "stop":
            found.append(task)
    return found
