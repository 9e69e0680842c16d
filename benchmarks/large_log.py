"""A large log: filled by copies of registered versions, at several sizes, one after the other.

Half of the versions belong to one long model, the others to short models of five: 1,000,000 versions are in
100,001 models. Half of the short models are in one namespace, the others in up to 500. One of five serves,
and one of a hundred has an open review. An event is recorded every two seconds.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import asyncpg

from benchmarks.copied_log import ENVIRONMENT, SEED, SEEDS, CopiedLog, Model
from benchmarks.servers import Servers
from benchmarks.trained import trained
from services.local.rebuild import services_of
from shared.foundation.postgres import connect_pool
from shared.log import projector

SIZES = tuple(map(int, os.environ.get("REGISTA_BENCH_VERSIONS", "2000,20000").split(",")))
LONG, OF_A_SHORT_MODEL, REJECTED = "bench.long", 5, 20
SMALL_NAMESPACES, REVIEWED = 500, 100
SMALL_NAMESPACE = "team-007"
"""One of the namespaces with the fewest models."""
REBUILT = ("registry", "cleanup", "approval")
PATIENCE = 7_200.0
# What serves is in the read model only: audit would find in the log that no one decided it.
SERVING = f"""
INSERT INTO registry.rollouts (model_id, environment, production, champion, entries, previous, warning,
    changed_at, changed_by, reason, revision)
SELECT m.model_id, $1, false, v.number, jsonb_build_array(jsonb_build_object('number', v.number,
    'percent', 100, 'role', 'champion', 'semver', v.semver)), '[]', '', m.registered_at, 'user-ann', '', 1
FROM registry.models m JOIN registry.versions v ON v.model_id = m.model_id AND v.number = 1
WHERE m.name = '{LONG}' OR right(m.name, 1) IN ('0', '5')
"""
EVENTS = "SELECT count(*) FROM log.events"
NOTED = "SELECT count(*) FROM log.events_cleanup WHERE type = 'Noted' AND stream = $1"


def short_name(n: int) -> str:
    """Return the name of the n-th short model."""
    namespace = "bench" if n % 2 else f"team-{n // 2 % SMALL_NAMESPACES:03}"
    return f"{namespace}.short-{n}"


def models(versions: int) -> Iterator[Model]:
    """Yield the models of a log with this number of versions."""
    yield Model(LONG, versions // 2, rejected=max(1, SIZES[-1] // 2 // REJECTED), reviews=1)
    for n in range(versions // 2 // OF_A_SHORT_MODEL):
        yield Model(short_name(n), OF_A_SHORT_MODEL, reviews=1 if n % REVIEWED == 0 else 0)


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
    await log.grow(models(versions))
    print(f"  {versions:,} versions: copied in {time.perf_counter() - began:,.0f} s", flush=True)
    for name in REBUILT:
        for service in services_of(name):
            url = servers.stack.database_url(name)
            async with await connect_pool(url, schemas=(projector.schema_of(service),)) as pool:
                await projector.rebuild(service, pool)
        print(f"  {name} rebuilt after {time.perf_counter() - began:,.0f} s", flush=True)
    url = servers.stack.database_url("registry")
    registry = await asyncpg.connect(url)
    await registry.execute(SERVING, ENVIRONMENT)
    await registry.close()
    await log.owner.execute("VACUUM ANALYZE")


async def sealed(servers: Servers, owner: asyncpg.Connection) -> int:
    """Wait until audit has sealed, indexed and verified the log. Return the number of events.

    An audit service that is still busy with what was copied answers late, whatever a question costs.
    """
    events: int = await owner.fetchval(EVENTS)
    until = time.monotonic() + PATIENCE
    while time.monotonic() < until:
        sizes = servers.call("GET", "audit", "/v1/log-checkpoints?page_size=1").json()["items"]
        complete = bool(sizes) and sizes[0]["size"] >= events and _indexed(servers)
        if complete and servers.call("GET", "audit", "/v1/invariants").json()["verified"] >= events:
            return events
        await asyncio.sleep(1)
    raise TimeoutError(f"audit did not seal and index {events} events")


def _indexed(servers: Servers) -> bool:
    indexed_up_to = servers.call("GET", "audit", f"/v1/as-of?model={SEED}").json()["indexed_up_to"]
    return datetime.now(UTC) - datetime.fromisoformat(indexed_up_to) < timedelta(seconds=5)
