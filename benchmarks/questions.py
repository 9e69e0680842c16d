"""Questions that must not become slower as the log grows: p50 and p99 over HTTP, one after the other."""

from __future__ import annotations

import asyncio
import json
import random
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

from benchmarks.copied_log import model_id
from benchmarks.figures import Figure
from benchmarks.large_log import LONG, SIZES
from benchmarks.servers import Servers
from benchmarks.trained import trained

SECONDS, FEWEST, MOST = 1.0, 3, 200
"""A question is repeated for this many seconds, at least and at most this often."""
GROWTH = 2.0
"""How many times slower a question may become between the sizes; what reads everything, per version."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, built again for each repetition. `reads_all`: its time may grow with the versions."""

    name: str
    service: str
    make: Callable[[], str]
    body: Any = None
    reads_all: bool = False


@dataclass(frozen=True, slots=True)
class Times:
    """Milliseconds."""

    p50: float
    p99: float


def questions(versions: int, events: int) -> Iterator[Question]:
    """Yield what is measured, of a log with so many versions and events."""
    long = versions // 2

    def number() -> int:
        return random.randint(1, long)

    def path(to: str, make: Callable[[], dict[str, object]]) -> Callable[[], str]:
        return lambda: f"{to}?{urlencode(make())}"

    def moment() -> str:
        return (datetime.now(UTC) - timedelta(seconds=30)).isoformat()

    def data_set() -> str:
        found: str = trained(LONG, number())["training"]["dataset"]["digest"]
        return found

    yield Question("as-of", "audit", path("/v1/as-of", lambda: {"model": LONG, "at": moment()}))
    yield Question(
        "inclusion proof",
        "audit",
        path("/v1/proofs/inclusion", lambda: {"leaf_index": random.randrange(events), "size": events}),
    )
    yield Question(
        "consistency proof",
        "audit",
        path("/v1/proofs/consistency", lambda: {"first": random.randint(1, events), "size": events}),
    )
    yield Question(
        "trained-on by digest", "registry", path("/v1/versions", lambda: {"trained_on": data_set()})
    )
    yield Question(
        "versions?stage=", "registry", path(f"/v1/models/{LONG}/versions", lambda: {"stage": "Rejected"})
    )
    yield Question(
        "events of a stream",
        "audit",
        path("/v1/events", lambda: {"stream": f"model-{model_id(LONG)}", "page_size": 50}),
    )
    yield Question("timeline?number=", "audit", path(f"/v1/timeline/{LONG}", lambda: {"number": number()}))
    plan = {"dry_run": True}
    yield Question(
        "cleanup plan of the long model",
        "cleanup",
        lambda: "/v1/cleanup-runs",
        plan | {"model": LONG},
        reads_all=True,
    )
    yield Question("cleanup plan of all", "cleanup", lambda: "/v1/cleanup-runs", plan, reads_all=True)
    yield Question("invariants", "audit", lambda: "/v1/invariants", reads_all=True)


async def ask(servers: Servers, versions: int, events: int) -> dict[str, Times]:
    """Return the times of each question by its name."""
    found = {}
    for question in questions(versions, events):
        found[question.name] = times = await _times(servers, question)
        print(f"  p50 {times.p50:8.1f}  p99 {times.p99:8.1f} ms  {question.name}", flush=True)
    return found


def figures(found: Sequence[Mapping[str, Times]]) -> list[Figure]:
    """Return a figure for each question from its times at each size."""
    return [_figure(question, [times[question.name] for times in found]) for question in questions(1, 1)]


def _figure(question: Question, times: Sequence[Times]) -> Figure:
    growth = times[-1].p50 / times[0].p50 / (SIZES[-1] / SIZES[0] if question.reads_all else 1)
    sizes = f"{SIZES[0]:,} to {SIZES[-1]:,} versions"
    name = f"{question.name}, {'time of one version' if question.reads_all else 'time'}, from {sizes}"
    p50, p99 = (
        f"{times[0].p50:,.1f} and {times[-1].p50:,.1f} ms",
        f"{times[0].p99:,.1f} and {times[-1].p99:,.1f} ms",
    )
    note = f"p50 {p50}, p99 {p99}"
    return Figure(name, growth, "times", GROWTH, smaller_is_better=True, note=note)


async def _times(servers: Servers, question: Question) -> Times:
    await _answers(servers, question, FEWEST if not question.reads_all else 1)  # plans and caches
    until = time.perf_counter() + SECONDS
    taken: list[float] = []
    while len(taken) < FEWEST or (len(taken) < MOST and time.perf_counter() < until):
        [(status, body, seconds)] = await _answers(servers, question, 1)
        if status != 200 or b'"holds":false' in body:
            raise AssertionError(f"{question.name}: {status} {body[-2000:]!r}")
        taken.append(seconds * 1000)
    taken.sort()
    return Times(taken[len(taken) // 2], taken[min(len(taken) - 1, int(len(taken) * 0.99))])


async def _answers(servers: Servers, question: Question, count: int) -> list[tuple[int, bytes, float]]:
    """Return (status, body, seconds) of `count` requests, one after the other over one connection."""
    url = urlsplit(servers.instance.urls[question.service])
    reader, writer = await asyncio.open_connection(url.hostname, url.port)
    body = json.dumps(question.body).encode() if question.body is not None else b""
    answers = []
    for _ in range(count):
        head = f"{'POST' if body else 'GET'} {question.make()} HTTP/1.1\r\nhost: {url.netloc}\r\n"
        head += f"authorization: Bearer {servers.admin_key}\r\nidempotency-key: {random.random()}\r\n"
        head += f"content-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        began = time.perf_counter()
        writer.write(head.encode() + body)
        answer = await reader.readuntil(b"\r\n\r\n")
        content = await reader.readexactly(
            int(answer.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
        )
        answers.append((int(answer[9:12]), content, time.perf_counter() - began))
    writer.close()
    return answers
