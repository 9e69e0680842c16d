"""Provide the event loop of a service: uvloop, with connections that detect a vanished peer."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import uvloop

IDLE, INTERVAL, PROBES = 10, 5, 4
"""TCP keep-alive: seconds of silence before the first probe, seconds between probes, and unanswered probes.
"""

UNANSWERED = 30_000
"""Milliseconds after which unacknowledged data break the connection. Linux's default is about a quarter of an
hour."""

_OF_TCP = {
    "TCP_KEEPIDLE": IDLE,
    "TCP_KEEPINTVL": INTERVAL,
    "TCP_KEEPCNT": PROBES,
    "TCP_USER_TIMEOUT": UNANSWERED,
}
OPTIONS = (
    (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1),
    *(
        (socket.IPPROTO_TCP, getattr(socket, name), value)
        for name, value in _OF_TCP.items()
        if hasattr(socket, name)
    ),  # all of them on Linux
)


class Loop(uvloop.Loop):
    """uvloop with TCP options on every connection: asyncpg and aiokafka set none."""

    async def create_connection(
        self, protocol_factory: Callable[[], Any], *address: Any, **options: Any
    ) -> Any:
        """Connect as uvloop does. The connection breaks within half a minute after its host vanished."""
        transport: Any
        transport, protocol = await super().create_connection(protocol_factory, *address, **options)
        detect_vanished_peer(transport.get_extra_info("socket").fileno())
        return transport, protocol


def detect_vanished_peer(fileno: int) -> None:
    """Set the options on a TCP socket; do nothing on any other."""
    with socket.socket(fileno=os.dup(fileno)) as same:
        if same.family in {socket.AF_INET, socket.AF_INET6}:
            for level, name, value in OPTIONS:
                same.setsockopt(level, name, value)
