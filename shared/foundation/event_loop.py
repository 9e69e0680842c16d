"""The event loop of a service: uvloop, on which every connection notices that the host at its other end is gone."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from typing import Any

import uvloop

IDLE, INTERVAL, PROBES = 10, 5, 4
"""Seconds of silence before the kernel asks whether the peer is there, and between questions; how many stay without an answer."""

UNANSWERED = 30_000
"""Milliseconds that what was sent may stay unacknowledged.

Linux alone would go on for a quarter of an hour, and wait for ever where nothing is sent.
"""

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
    """Neither asyncpg nor aiokafka sets an option on its sockets, nor offers a place to; both open them here."""

    async def create_connection(
        self, protocol_factory: Callable[[], Any], *place: Any, **options: Any
    ) -> Any:
        """As uvloop's; a connection whose host vanished without a word breaks within half a minute."""
        transport: Any
        transport, protocol = await super().create_connection(protocol_factory, *place, **options)
        notice_silence(transport.get_extra_info("socket").fileno())
        return transport, protocol


def notice_silence(fileno: int) -> None:
    """Sets the options on a TCP socket; on any other it does nothing."""
    with socket.socket(fileno=os.dup(fileno)) as same:
        if same.family in {socket.AF_INET, socket.AF_INET6}:
            for level, name, value in OPTIONS:
                same.setsockopt(level, name, value)
