"""Measure questions that must not become slower as the log grows: p50 and p99 over HTTP at two sizes.

Half of the versions belong to one long model, the others to models of ten. The log is filled by copies of
registered versions (`benchmarks/copied_log.py`), and the read models are rebuilt from it.

`python -m benchmarks questions` measures 2,000 and 20,000 versions; REGISTA_BENCH_VERSIONS sets other sizes:
`REGISTA_BENCH_VERSIONS=10000,1000000 python -m benchmarks questions`.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode, urlsplit

import asyncpg

from benchmarks.copied_log import SEED, SEEDS, CopiedLog, model_id
from benchmarks.figures import Figure
from benchmarks.servers import Servers
from benchmarks.trained import trained
from services.local.rebuild import services_of
from shared.foundation.postgres import connect_pool
from shared.log import projector

SIZES = tuple(map(int, os.environ.get("REGISTA_BENCH_VERSIONS", "2000,20000").split(",")))
SERVICES = ("registry", "cleanup", "audit")
LONG, OF_A_SHORT_MODEL, REJECTED = "bench.long", 10, 20
PATIENCE = 3_600.0
SECONDS, FEWEST, MOST = 1.0, 3, 200
"""A question is repeated for this many seconds, at least and at most this often."""
GROWTH = 2.0
"""How many times slower a question may become between the sizes; what reads everything, per version."""
EVENTS = "SELECT count(*) FROM log.events"
NOTED = "SELECT count(*) FROM log.events_cleanup WHERE type = 'Noted' AND stream = $1"


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


async def measure(servers: Servers) -> Sequence[Figure]:
    owner = await asyncpg.connect(servers.stack.owner_url())
    log = CopiedLog(owner)
    await log.read_seed(await seed(servers, owner))
    found: dict[str, list[Times]] = {}
    for versions in SIZES:
        await fill(servers, log, versions)
        with servers.running(*SERVICES):
            events = await sealed(servers, owner)
            for question in questions(versions, events):
                times = await _times(servers, question)
                found.setdefault(question.name, []).append(times)
                print(f"  {versions:>9,} versions: {question.name}: {times.p50:,.2f} ms", flush=True)
    await owner.close()
    return [_figure(question, found[question.name]) for question in questions(1, 1)]


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


async def seed(servers: Servers, owner: asyncpg.Connection) -> str:
    """Register the seed and wait until cleanup has noted it. Return its id."""
    with servers.running("registry", "cleanup"):
        for n in range(SEEDS):
            body = {k: v for k, v in trained(SEED, n).items() if k != "model"}
            answer = servers.call("POST", "registry", f"/v1/models/{SEED}/versions", body)
        until = time.monotonic() + PATIENCE
        seed_id: str = answer.json()["model_id"]
        while await owner.fetchval(NOTED, f"retention-{seed_id}") < SEEDS + 1:
            if time.monotonic() > until:
                raise TimeoutError("cleanup did not note the versions that the log is copied from")
            await asyncio.sleep(0.1)
    return seed_id


async def fill(servers: Servers, log: CopiedLog, versions: int) -> None:
    """Bring the log to this number of versions, and rebuild the read models."""
    began = time.perf_counter()
    short = range(versions // 2 // OF_A_SHORT_MODEL)
    await log.grow(
        [
            (LONG, versions // 2, max(1, SIZES[-1] // 2 // REJECTED)),
            *((f"bench.short-{n}", OF_A_SHORT_MODEL, 0) for n in short),
        ]
    )
    copied = time.perf_counter() - began
    for name in ("registry", "cleanup"):
        for service in services_of(name):
            url = servers.stack.database_url(name)
            async with await connect_pool(url, schemas=(projector.schema_of(service),)) as pool:
                await projector.rebuild(service, pool)
    await log.owner.execute("VACUUM ANALYZE")
    print(
        f"  {versions:,} versions: copied in {copied:.1f} s, "
        f"rebuilt after {time.perf_counter() - began:.1f} s"
    )


async def sealed(servers: Servers, owner: asyncpg.Connection) -> int:
    """Wait until audit has sealed, indexed and verified the log. Return the number of events.

    An audit service that is still busy with what was copied answers late, whatever a question costs.
    """
    events: int = await owner.fetchval(EVENTS)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        sizes = servers.call("GET", "audit", "/v1/log-checkpoints?page_size=1").json()["items"]
        complete = bool(sizes) and sizes[0]["size"] >= events and await _indexed(servers)
        if complete and servers.call("GET", "audit", "/v1/invariants").json()["verified"] >= events:
            return events
        await asyncio.sleep(0.2)
    raise TimeoutError(f"audit did not seal and index {events} events")


async def _indexed(servers: Servers) -> bool:
    question = Question("", "audit", lambda: f"/v1/as-of?{urlencode({'model': LONG})}")
    answer = await _answers(servers, question, 1)
    indexed_up_to = (
        datetime.fromisoformat(json.loads(answer[0][1])["indexed_up_to"]) if answer[0][0] == 200 else None
    )
    return indexed_up_to is not None and datetime.now(UTC) - indexed_up_to < timedelta(seconds=5)


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
