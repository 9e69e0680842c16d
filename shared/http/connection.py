"""Guard one HTTP connection: bounded heads and trailers, and no body lost to an unserved upgrade.

uvicorn's protocol on httptools has no limit of headers or of time for them. For a request with an upgrade
(`Upgrade: h2c` of Java's HttpClient and of `curl --http2`) it answers without the body, because the parser
takes what follows for another protocol.
"""

from __future__ import annotations

import asyncio
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

LARGEST_HEAD = 64 * 1024
"""Maximum size of a request line with its headers, in bytes. Also of what a body in chunks has between two
bytes of its content, or behind the last one: extensions of a chunk, trailers."""
HEAD_WITHIN = 20.0
"""Time limit of a request's head, in seconds, from the connection or the first byte of a later request."""
MOST_CONNECTIONS = 2_000
"""Connections of one process. A further one is answered with 503 and closed."""
ABORT = "regista.abort"
"""The extension of a request's scope whose `close` ends the connection without sending what waits."""
_HOP_BY_HOP = frozenset({b"connection", b"upgrade", b"http2-settings"})


class GuardedProtocol(HttpToolsProtocol):
    """One connection, with limits. An upgrade is ignored: the request is answered in HTTP/1.1."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._in_head = True
        self._head_size = 0
        self._without_content = 0
        self._upgrading = False
        self._refused = False
        self._deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse(503, "Too many connections: repeat the request later.")
            return
        self._deadline = self.loop.call_later(HEAD_WITHIN, self._too_late)

    def connection_lost(self, exc: Exception | None) -> None:
        self._stop_clock()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came. What is too large beside the content of a body ends the connection immediately."""
        if self._refused:
            return
        if self._in_head:
            self._head_size += len(data)
        else:
            self._without_content += len(data)
        self._parse(data)
        if self._in_head and self._head_size > LARGEST_HEAD:
            self._refuse(431, f"The request line and headers exceed {LARGEST_HEAD} bytes: send less.")
        elif not self._in_head and self._without_content > LARGEST_HEAD:
            self._refuse(431, f"Trailers or extensions of a chunk exceed {LARGEST_HEAD} bytes: send less.")

    def _parse(self, data: bytes) -> None:
        self._unset_keepalive_if_required()
        while data:
            try:
                self.parser.feed_data(data)
            except httptools.HttpParserUpgrade as upgrade:
                data = data[upgrade.args[0] :]
                self._continue_without_upgrade()
            except httptools.HttpParserError:
                self._refuse(400, "This is no valid HTTP request.")
                return
            else:
                return

    def _continue_without_upgrade(self) -> None:
        """Give a new parser the same head without the upgrade. It reads the body that follows."""
        method, version = self.parser.get_method(), self.parser.get_http_version().encode()
        head = [method, b" ", self.url, b" HTTP/", version, b"\r\n"]
        for name, value in self.headers:
            if name not in _HOP_BY_HOP:
                head += [name, b": ", value, b"\r\n"]
        self._upgrading = False
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"".join([*head, b"\r\n"]))

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self.scope["extensions"] = {ABORT: {"close": self.transport.abort}}
        self._in_head, self._head_size = True, max(1, self._head_size)
        if self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_WITHIN, self._too_late)

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take a header. A trailer is none: the request is being answered with the headers of its head."""
        if self._in_head:
            super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """Start the request, unless its head is too large or it is to be parsed again without an upgrade."""
        self._stop_clock()
        self._in_head, self._head_size, self._without_content = False, 0, 0
        if self._refused:
            return
        size = len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers)
        if size > LARGEST_HEAD:
            self._refuse(431, f"The request line and headers exceed {LARGEST_HEAD} bytes: send less.")
        elif self.parser.should_upgrade():
            self._upgrading = True
        else:
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        self._without_content = 0
        if not self._upgrading and not self._refused:
            super().on_body(body)

    def on_message_complete(self) -> None:
        if self._upgrading or self._refused:
            return
        self._in_head = True
        super().on_message_complete()

    def _stop_clock(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _too_late(self) -> None:
        self._deadline = None
        if self._head_size:
            self._refuse(408, f"No complete request head within {HEAD_WITHIN:g} s.")
        elif not self.transport.is_closing():
            self.transport.close()

    def _refuse(self, status: int, reason: str) -> None:
        """Answer and close. A request that is in progress on this connection is cut off."""
        self._refused = True
        self._stop_clock()
        if self.transport.is_closing():
            return
        if self._is_awaited():
            body = reason.encode()
            self.transport.write(
                STATUS_LINE[status]
                + b"content-type: text/plain; charset=utf-8\r\ncontent-length: %d\r\n" % len(body)
                + b"connection: close\r\n\r\n"
                + body
            )
        self.transport.close()

    def _is_awaited(self) -> bool:
        """Return whether an answer written now is the one that the client waits for."""
        if self.cycle is None or self.cycle.response_complete:
            return True
        return not (self._in_head or self.pipeline or self.cycle.response_started)
