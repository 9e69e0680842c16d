"""Raw bytes on a socket: limits of a request's head, and bodies of requests that ask for an upgrade."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import AsyncIterator

import pytest
from starlette.types import Receive, Scope, Send

from shared.foundation.settings import Settings
from shared.http import connection
from shared.http.server import Server

JAVA = (
    b"POST /v1/keys HTTP/1.1\r\nConnection: Upgrade, HTTP2-Settings\r\nContent-Length: 15\r\n"
    b"Host: 127.0.0.1:8080\r\nHTTP2-Settings: AAEAAEAAAAIAAAABAAMAAABkAAQBAAAAAAUAAEAA\r\n"
    b"Upgrade: h2c\r\nUser-Agent: Java-http-client/21\r\n\r\n"
)
CURL = (
    b"POST /v1/keys HTTP/1.1\r\nHost: localhost\r\nUser-Agent: curl/8.5.0\r\nAccept: */*\r\n"
    b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n"
    b"Content-Length: 15\r\nContent-Type: application/x-www-form-urlencoded\r\n\r\n"
)
CHUNKED = JAVA.replace(b"Content-Length: 15", b"Transfer-Encoding: chunked")
BODY = b'{"algorithm":1}'


async def echo(scope: Scope, receive: Receive, send: Send) -> None:
    """Answer with the method, path and body, and with the header `X-Late`."""
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    late = b"".join(value for name, value in scope["headers"] if name == b"x-late")
    answer = scope["method"].encode() + b" " + scope["path"].encode() + b" " + body + late
    headers = [(b"content-length", str(len(answer)).encode())]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": answer})


@pytest.fixture
async def port() -> AsyncIterator[int]:
    server = Server(echo, Settings(http_host="127.0.0.1", http_port=0))
    task = asyncio.create_task(server.run())
    yield server.port
    server.stop()
    await asyncio.wait_for(task, 10)


def test_an_answer_in_two_parts_does_not_wait_for_an_acknowledgement() -> None:
    """Whatever the event loop: the plain one leaves accepted sockets as they are."""
    server = Server(echo, Settings(http_host="127.0.0.1", http_port=0))
    with server._socket as listening, socket.create_connection(("127.0.0.1", server.port)):
        accepted, _ = listening.accept()
        with accepted:
            assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


async def exchanged(port: int, *pieces: bytes, until: bytes = b"") -> bytes:
    """Send the pieces one by one and return what came, to the end of the connection or to `until`."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    received = b""
    try:
        async with asyncio.timeout(10):
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
            while not until or until not in received:
                got = await reader.read(65536)
                if not got:
                    break
                received += got
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return received


@pytest.mark.parametrize("head", [JAVA, CURL], ids=["java", "curl"])
@pytest.mark.parametrize("together", [True, False])
async def test_a_request_for_an_upgrade_keeps_its_body(port: int, head: bytes, together: bool) -> None:
    pieces = [head + BODY] if together else [head, BODY[:5], BODY[5:]]
    answer = await exchanged(port, *pieces, until=BODY)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert answer.endswith(b"POST /v1/keys " + BODY)


async def test_an_upgrade_with_a_chunked_body_keeps_it(port: int) -> None:
    chunks = b"5\r\n" + BODY[:5] + b"\r\na\r\n" + BODY[5:] + b"\r\n0\r\n\r\n"
    assert (await exchanged(port, CHUNKED + chunks, until=BODY)).endswith(b"POST /v1/keys " + BODY)


async def test_after_an_upgrade_the_connection_serves_further_requests(port: int) -> None:
    further = b"GET /after HTTP/1.1\r\nHost: a\r\n\r\n"
    last = further.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n")
    answer = await exchanged(port, JAVA + BODY + further + CURL + BODY + last)
    assert answer.count(b"HTTP/1.1 200 OK") == 4
    assert answer.count(BODY) == 2


async def test_a_websocket_is_not_served_and_answered_as_a_request(port: int) -> None:
    head = b"GET /ws HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    assert (await exchanged(port, head, until=b"GET /ws ")).startswith(b"HTTP/1.1 200 OK")


async def poured(port: int, begin: bytes, endless: bytes) -> tuple[int, bytes]:
    """Send up to 4 MiB. Return how much was sent until the connection ended, and what was received."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(begin)
    sent, received = 0, b"reset"
    with contextlib.suppress(ConnectionError):
        while sent < 4 * 1024 * 1024 and not reader.at_eof():
            piece = b"".join(endless % n for n in range(500))
            writer.write(piece)
            sent += len(piece)
            await asyncio.wait_for(writer.drain(), 10)
    with contextlib.suppress(ConnectionError):
        received = await asyncio.wait_for(reader.read(), 10)
    writer.close()
    return sent, received


@pytest.mark.parametrize(
    "endless", [b"X-%d: abcdefghijklmnop\r\n", b"abcdefghijklmnopqrstuvwxyz%d"], ids=["headers", "one header"]
)
async def test_endless_headers_are_refused_at_the_limit(port: int, endless: bytes) -> None:
    sent, answer = await poured(port, b"GET / HTTP/1.1\r\nHost: a\r\nX-Long: ", endless)
    assert sent < 4 * 1024 * 1024
    assert answer.startswith((b"HTTP/1.1 431", b"reset"))


@pytest.mark.parametrize(
    ("begin", "endless"),
    [
        (b"0\r\n", b"X-%d: abcdefghijklmnop\r\n"),
        (b"0\r\nX-Long: ", b"abcdefghijklmnopqrstuvwxyz%d"),
        (b"2;", b"abcdefghijklmnop=%d;"),
    ],
    ids=["trailers", "one trailer", "extension of a chunk"],
)
async def test_what_is_endless_in_a_body_beside_its_content_is_refused(
    port: int, begin: bytes, endless: bytes
) -> None:
    chunked = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nab\r\n"
    sent, answer = await poured(port, chunked + begin, endless)
    assert sent < 4 * 1024 * 1024
    assert answer.startswith((b"HTTP/1.1 431", b"reset"))


async def test_a_body_in_many_small_chunks_is_read_whole(port: int) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    number = connection.LARGEST_HEAD // 2
    pieces = [b"1;e=f\r\na\r\n" * (number // 8)] * 8
    answer = await exchanged(port, head, *pieces, b"0\r\n\r\n", until=b"a" * number)
    assert answer.startswith(b"HTTP/1.1 200")


async def test_a_trailer_is_no_header_of_the_request(port: int) -> None:
    head = b"POST /a HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nX-Late: early\r\n\r\n"
    chunks = b"2\r\nab\r\n0\r\nX-Late: late\r\n\r\n"
    last = b"GET /next HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
    answer = await exchanged(port, head + chunks + last)
    assert b"/a abearly" in answer
    assert b"late" not in answer
    assert answer.endswith(b"GET /next ")


async def test_a_large_head_in_one_piece_is_refused(port: int) -> None:
    head = b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * connection.LARGEST_HEAD + b"\r\n\r\n"
    assert (await exchanged(port, head)).startswith(b"HTTP/1.1 431")


async def test_a_slow_head_is_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.2)
    assert (await exchanged(port, b"GET / HTTP/1.1\r\nHost:")).startswith(b"HTTP/1.1 408")
    answered = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    answer = await exchanged(port, answered, b"GET /second HTTP/1.1\r\nHo")
    assert answer.startswith(b"HTTP/1.1 200")
    assert b"HTTP/1.1 408" in answer


async def test_a_connection_without_a_request_is_closed(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.1)
    assert await exchanged(port) == b""


async def test_a_slow_body_is_no_slow_head(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "HEAD_WITHIN", 0.1)
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(b"POST /slow HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\na")
    await asyncio.sleep(0.3)
    writer.write(b"b")
    assert (await asyncio.wait_for(reader.readuntil(b"/slow ab"), 10)).startswith(b"HTTP/1.1 200")
    writer.close()


async def test_too_many_connections_are_refused(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "MOST_CONNECTIONS", 1)
    first, other = await asyncio.open_connection("127.0.0.1", port)
    other.write(b"GET /one HTTP/1.1\r\nHost: a\r\n\r\n")
    await asyncio.wait_for(first.readuntil(b"/one "), 10)
    assert (await exchanged(port, b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")).startswith(b"HTTP/1.1 503")
    other.close()


async def test_nonsense_is_refused(port: int) -> None:
    assert (await exchanged(port, b"\x16\x03\x01\x02\x00 nonsense\r\n\r\n")).startswith(b"HTTP/1.1 400")
