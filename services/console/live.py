"""One stream for each tab: which models, reviews and lists have changed, of what the person may read."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import httpx
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from regista.errors import RegistaError
from services.console import feed
from services.console.console import Console
from services.console.sessions import Session

HEARTBEAT = 5.0
"""Seconds after which the stream sends a comment: so a browser that left is noticed."""
AGAIN = 5_000
"""Milliseconds after which a browser opens a stream again that ended."""
MOST_STREAMS = 20
"""Open streams of one person."""


def serve_live(console: Console) -> Callable[[Request], Awaitable[Response]]:
    """Return the endpoint of the stream. It names topics only: pages are read again by their own requests."""
    opened: dict[str, int] = {}

    async def endpoint(request: Request) -> Response:
        id_ = request.cookies.get(console.cookies.session, "")
        session = console.sessions.signed_in.peek(id_)
        if session is None or request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
            return Response(status_code=204)  # the browser opens no further stream
        if opened.get(session.subject, 0) >= MOST_STREAMS:
            return Response("Too many tabs are open.\n", 429, media_type="text/plain")
        return StreamingResponse(_frames(console, id_, session, opened), media_type="text/event-stream")

    return endpoint


async def _frames(console: Console, id_: str, session: Session, opened: dict[str, int]) -> AsyncIterator[str]:
    """Yield the frames while the session lasts, which a stream neither prolongs nor renews."""
    opened[session.subject] = opened.get(session.subject, 0) + 1
    queue: asyncio.Queue[str | None] = asyncio.Queue(maxsize=1_000)
    reader = asyncio.create_task(_read(console, session, queue))
    try:
        yield f"retry: {AGAIN}\n\n"
        while console.sessions.signed_in.peek(id_) is session:
            try:
                topics = await asyncio.wait_for(queue.get(), HEARTBEAT)
            except TimeoutError:
                yield ": still here\n\n"
                continue
            if topics is None:
                if session.tokens and session.tokens.old:
                    yield "event: renew\ndata: -\n\n"  # the page reads itself again, with a new token
                return
            if console.sessions.signed_in.peek(id_) is session:  # it may have ended during the wait
                yield f"event: change\ndata: {topics}\n\n"
    finally:
        reader.cancel()
        opened[session.subject] -= 1
        if not opened[session.subject]:
            del opened[session.subject]


async def _read(console: Console, session: Session, queue: asyncio.Queue[str | None]) -> None:
    """Put the topics of each event into the queue, and None when the stream of the service ends."""
    try:
        async with console.calls(session.credential).stream("audit", "/public-events") as answer:
            async for event in feed.events(answer.aiter_lines()):
                if "type" in event:
                    await queue.put(" ".join(feed.topics(event)))
    except (RegistaError, httpx.TransportError):
        pass
    await queue.put(None)
