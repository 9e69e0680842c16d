"""Read the public events as the signed-in person may: what happened lately, and what happens now."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
from collections.abc import AsyncIterator, Mapping
from datetime import datetime
from typing import Any

import httpx
import msgspec

from regista.wire.event_types import name_of
from services.console.calls import Calls
from services.console.plain_words import plain

Json = Mapping[str, Any]
HAPPENED: Mapping[str, str] = {
    "VersionRegistered": "was registered",
    "RegistrationRefused": "was refused a registration",
    "VersionValidated": "was validated",
    "VersionRejected": "was rejected",
    "VersionRecalled": "was withdrawn",
    "VersionReinstated": "was reinstated",
    "VersionPromoted": "was promoted",
    "PromotionDenied": "was denied its promotion",
    "RolloutChanged": "changed who serves",
    "RolledBack": "was rolled back",
    "VersionRetired": "was retired",
    "PolicyPublished": "was published",
    "OverrideUsed": "was promoted by an override",
}
"""What Home reports of the last day, in words."""
MOST_READ, PATIENCE = 5_000, 4.0


async def events(lines: AsyncIterator[str]) -> AsyncIterator[Json]:
    """Yield the events of a stream of server-sent events; comments are left out."""
    data: list[str] = []
    async for line in lines:
        if line.startswith("data:"):
            data.append(line[5:].strip())
        elif not line and data:
            with contextlib.suppress(msgspec.MsgspecError):
                yield msgspec.json.decode("\n".join(data))
            data.clear()


async def lately(calls: Calls, since: datetime, most: int) -> tuple[list[Json], bool]:
    """Return the newest noteworthy events since then, the newest first, and whether all were read.

    The stream is in the order of each topic only. Raises RegistaError when it cannot be opened.
    """
    found: list[Json] = []
    read, whole = 0, False
    try:
        async with asyncio.timeout(PATIENCE):
            query = {"since": since.isoformat(), "follow": False, "type": ",".join(HAPPENED)}
            async with calls.stream("audit", "/public-events", **query) as answer:
                async for event in events(answer.aiter_lines()):
                    if "type" not in event:  # the end of the feed
                        continue
                    found.append(in_words(event))
                    read += 1
                    if read >= MOST_READ:
                        break
                else:
                    whole = True
    except (TimeoutError, httpx.TransportError):
        whole = False
    return heapq.nlargest(most, found, key=lambda event: event["at"]), whole


def in_words(event: Json) -> Json:
    """Return what a page shows of a public event."""
    data, name = event.get("data") or {}, name_of(str(event.get("type", "")))
    return {
        "id": event.get("id", ""),
        "at": event.get("time", ""),
        "model": data.get("model") or "",
        "number": data.get("number") or 0,
        "policy": data.get("name") or "",
        "environment": data.get("environment") or "",
        "words": HAPPENED.get(name, plain(name)),
    }


def topics(event: Json) -> list[str]:
    """Return what an event changes: the model, the review, and lists."""
    data = event.get("data") or {}
    named = [("model", data.get("model_id")), ("review", data.get("review_id") or data.get("promotion_id"))]
    return ["any", *(f"{kind}:{id_}" for kind, id_ in named if isinstance(id_, str) and id_.isascii())]
