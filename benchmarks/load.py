"""Send prepared HTTP/1.1 requests over open connections and count the answers, at little processor time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import cycle
from urllib.parse import urlsplit


def request(method: str, url: str, key: str, body: bytes = b"", more: str = "") -> bytes:
    parts = urlsplit(url)
    target = f"{parts.path}?{parts.query}" if parts.query else parts.path
    head = f"{method} {target} HTTP/1.1\r\nhost: {parts.netloc}\r\nauthorization: Bearer {key}\r\n{more}"
    if body:
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


async def run(
    url: str, make: Callable[[int], bytes], connections: int, seconds: float
) -> tuple[float, Counter[int]]:
    """Run clients that each wait for an answer before the next request.

    Return answers a second, and answers by status.
    """
    host, port = urlsplit(url).hostname, urlsplit(url).port
    statuses: Counter[int] = Counter()
    numbers = iter(range(10**12))
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        while time.perf_counter() < until:
            writer.write(make(next(numbers)))
            statuses[await _answered(reader)] += 1
        writer.close()

    began = time.perf_counter()
    await asyncio.gather(*(client() for _ in range(connections)))
    return statuses.total() / (time.perf_counter() - began), statuses


@dataclass(frozen=True, slots=True)
class Times:
    """Answers a second, and the milliseconds of one answer."""

    rate: float
    p50: float
    p99: float


async def times(url: str, requests: Sequence[bytes], connections: int, seconds: float) -> Times:
    """Send the requests in turn and time each answer. Raises AssertionError unless all are 200."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    taken: list[float] = []
    turn = cycle(requests)
    until = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        while (began := time.perf_counter()) < until:
            writer.write(next(turn))
            if (status := await _answered(reader)) != 200:
                raise AssertionError(f"a request was answered with {status}")
            taken.append((time.perf_counter() - began) * 1000)
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    taken.sort()
    return Times(len(taken) / seconds, taken[len(taken) // 2], taken[int(len(taken) * 0.99)])


async def send(url: str, requests: Sequence[bytes], connections: int) -> Counter[int]:
    """Send each request once, over `connections` connections. Return the answers by status."""
    host, port = urlsplit(url).hostname, urlsplit(url).port
    statuses: Counter[int] = Counter()
    todo = iter(requests)

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, port)
        for one in todo:
            writer.write(one)
            statuses[await _answered(reader)] += 1
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return statuses


async def _answered(reader: asyncio.StreamReader) -> int:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ", 1)[1].split(b"\r\n", 1)[0])
    await reader.readexactly(length)
    return int(head[9:12])
