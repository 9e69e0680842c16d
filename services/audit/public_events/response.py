"""Send server-sent events as the answer to a request, until the caller leaves or the events end."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator, Callable

import msgspec
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from shared.http.connection import ABORT

log = logging.getLogger(__name__)

MEDIA_TYPE = "text/event-stream"
HEADERS = {
    "content-type": MEDIA_TYPE,
    "cache-control": "no-store",
    "x-accel-buffering": "no",  # a proxy must pass each event on immediately
    "x-content-type-options": "nosniff",
}
RETRY = b"retry: 2000\n\n"
"""Milliseconds after which a browser connects again."""
SEND_WITHIN = 20.0
"""Seconds that a caller has to take what is sent. After that its connection is closed."""


def frame(cursor: str, data: bytes = b"", kind: str = "") -> bytes:
    """Return one event. Without data it only gives the caller the cursor, "" where there is none yet."""
    named = f"event: {kind}\n".encode() if kind else b""
    position = f"id: {cursor}\n".encode() if cursor else b""
    content = b"data: " + data + b"\n" if data else b": waiting\n"
    return named + position + content + b"\n"


def end_frame(cursor: str, code: str, detail: str) -> bytes:
    """Return the last event of a feed: why it ends, and what the caller does next."""
    return frame(cursor, msgspec.json.encode({"code": code, "detail": detail}), "end")


class EventStream(Response):
    """An answer whose body are frames. `close` is called at its end, whatever ends it."""

    def __init__(self, frames: AsyncGenerator[bytes], close: Callable[[], None]) -> None:
        super().__init__(None, 200, HEADERS)
        del self.headers["content-length"]
        self._frames, self._close = frames, close
        self._stuck = False

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the frames. A caller who takes nothing for SEND_WITHIN is cut off: the cursor is theirs."""
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            sending = asyncio.ensure_future(self._send(send))
            gone = asyncio.ensure_future(_disconnected(receive))
            try:
                await asyncio.wait({sending, gone}, return_when=asyncio.FIRST_COMPLETED)
                if self._stuck and (abort := scope.get("extensions", {}).get(ABORT)) is not None:
                    abort["close"]()
                    await asyncio.wait({gone}, timeout=1)
            finally:
                for task in (sending, gone):
                    task.cancel()
                await asyncio.wait({sending, gone})
            if not sending.cancelled() and (error := sending.exception()) is not None:
                log.error("a feed of events failed", exc_info=error)
        finally:
            self._close()

    async def _send(self, send: Send) -> None:
        async with contextlib.aclosing(self._frames) as frames:
            try:
                async for one in frames:
                    async with asyncio.timeout(SEND_WITHIN):
                        await send({"type": "http.response.body", "body": one, "more_body": True})
                async with asyncio.timeout(SEND_WITHIN):
                    await send({"type": "http.response.body", "body": b"", "more_body": False})
            except TimeoutError:
                log.info("a caller takes no events: its connection is closed")
                self._stuck = True


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
