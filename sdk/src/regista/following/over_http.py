"""Receive events over HTTP as server-sent events. A connection that ends is opened again where it ended."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Any

import httpx
import msgspec

from regista.client.patience import Patience
from regista.client.transport import Transport
from regista.errors import Invalid, RegistaError, Unauthorized, Unavailable
from regista.following.event import Selection
from regista.wire.cloudevents import CloudEvent, NotACloudEvent
from regista.wire.event_feed import from_json

log = logging.getLogger("regista")

LARGEST = 16 * 1024 * 1024
"""Bytes of one event with its signature, far more than a service sends."""
LONGEST_PAUSE = 30.0
"""Seconds between two attempts to connect again."""


@dataclass(slots=True)
class Frame:
    """One server-sent event. An empty `id` keeps the last one."""

    id: str = ""
    kind: str = ""
    data: bytes = b""


async def frames(chunks: AsyncIterator[bytes]) -> AsyncGenerator[Frame]:
    """Yield the server-sent events in a body. Raises Unavailable for what is none."""
    waiting, frame = bytearray(), Frame()
    async for chunk in chunks:
        waiting += chunk
        *lines, rest = waiting.split(b"\n")
        waiting = bytearray(rest)
        if len(waiting) > LARGEST:
            raise Unavailable("not_regista", "the service sent a line that is no event of Regista")
        for line in lines:
            if not (text := bytes(line).rstrip(b"\r")):
                yield frame
                frame = Frame()
                continue
            _add(frame, text)


def _add(frame: Frame, line: bytes) -> None:
    name, _, value = line.partition(b":")
    value = value.removeprefix(b" ")
    match name:
        case b"id":
            frame.id = value.decode(errors="replace")
        case b"event":
            frame.kind = value.decode(errors="replace")
        case b"data":
            frame.data = frame.data + b"\n" + value if frame.data else value


async def over_http(
    transport: Transport, asked: Selection, patience: Patience
) -> AsyncGenerator[tuple[str, CloudEvent | None, str]]:
    """Yield the cursor with the event before it; None where the position moved without an event.

    The third is the service that may have sent it, "" for the one that it names. Raises RegistaError when the
    service refuses, or does not answer the first request.
    """
    cursor, attempt, connected = asked.cursor, 0, False
    while True:
        try:
            async for frame in _connection(transport, asked, cursor):
                connected = True
                if frame.id not in {"", cursor}:
                    attempt, cursor = 0, frame.id
                if frame.kind == "end":
                    if _finished(frame):
                        return
                    break
                if frame.data:
                    yield cursor, _event(frame.data), ""
                elif frame.id:
                    yield cursor, None, ""
        except (httpx.HTTPError, Unavailable) as e:
            if not connected or (not asked.follow and attempt >= max(1, patience.attempts)):
                raise _unreachable(e) from None
            if not attempt:
                log.warning("the feed of events was interrupted (%s): connecting again", _short(e))
        await asyncio.sleep(max(0.05, min(LONGEST_PAUSE, patience.pause(attempt, None))))
        attempt += 1


async def _connection(transport: Transport, asked: Selection, cursor: str) -> AsyncGenerator[Frame]:
    headers = {"Accept": "text/event-stream"} | ({"Last-Event-ID": cursor} if cursor else {})
    async with transport.download("audit", "/public-events", headers, asked.query()) as answer:
        if not answer.headers.get("content-type", "").startswith("text/event-stream"):
            raise Unavailable("not_regista", f"{answer.request.url} did not answer a feed of events")
        async for frame in frames(answer.aiter_bytes()):
            yield frame


def _finished(frame: Frame) -> bool:
    """Return whether the feed has ended for good; False where it goes on after connecting again.

    Raises what ended it.
    """
    try:
        end: dict[str, Any] = msgspec.json.decode(frame.data, type=dict[str, Any])
    except msgspec.MsgspecError:
        end = {}
    code, detail = str(end.get("code", "")), str(end.get("detail", ""))
    match code:
        case "caught_up":
            return True
        case "key_ended":
            raise Unauthorized(code, detail)
        case "unavailable":
            raise Unavailable(code, detail)
        case "cursor_unknown":
            raise Invalid(code, detail, advice="Begin with a time: since, or --since.")
    return False


def _event(data: bytes) -> CloudEvent | None:
    try:
        return from_json(data)
    except NotACloudEvent as e:
        log.warning("an event is passed over: %s", e)
        return None


def _short(error: Exception) -> str:
    return error.code if isinstance(error, RegistaError) else type(error).__name__


def _unreachable(error: Exception) -> Exception:
    if isinstance(error, RegistaError):
        return error
    return Unavailable("unreachable", f"the feed of events broke off ({type(error).__name__})")
