from __future__ import annotations

import asyncio
import contextlib
import socket

from shared.foundation.event_loop import OPTIONS, Loop, detect_vanished_peer


async def _dialled() -> list[int]:
    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.close()

    server = await asyncio.start_server(answer, "127.0.0.1", 0)
    async with server:
        transport, _ = await asyncio.get_running_loop().create_connection(
            asyncio.Protocol, *server.sockets[0].getsockname()
        )
        opened = transport.get_extra_info("socket")
        found = [opened.getsockopt(level, name) for level, name, _ in OPTIONS]
        transport.close()
    return found


def test_a_connection_probes_whether_its_peer_is_alive() -> None:
    with asyncio.Runner(loop_factory=Loop) as runner:
        assert runner.run(_dialled()) == [value for _, _, value in OPTIONS]
    assert len(OPTIONS) == 5


def test_a_socket_that_is_not_tcp_is_unchanged() -> None:
    with contextlib.ExitStack() as both:
        one, other = (both.enter_context(end) for end in socket.socketpair())
        detect_vanished_peer(one.fileno())
        assert one.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 0
        other.send(b"x")
        assert one.recv(1) == b"x", "and is still open"
