"""Drops and rebuilds the read models of running services from the log, and says whether they came out equal.

`python -m services.local.rebuild registry …`, with REGISTA_DATABASE_URLS naming each service's own role
(JSON); `regista rebuild` runs it.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import os
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass

import asyncpg

from shared.deciding.service import Service
from shared.foundation.postgres import connect_pool
from shared.log import projector

HEAD = "SELECT coalesce(max(seq), 0) FROM log.events_{partition}"
TRIES = 5


@dataclass(frozen=True, slots=True)
class Compared:
    """One service's read models: their digest before and after, what was folded and how long it took."""

    service: str
    events: int
    rows: int
    seconds: float
    before: str
    after: str
    equal: bool


def services_of(name: str) -> Iterator[Service]:
    """What that process writes: its own service, and what it carries beside it."""
    module = importlib.import_module(f"services.{name}.service")
    for attribute in ("SERVICE", "ACCESS_SERVICE"):
        found = getattr(module, attribute, None)
        if found is not None and found.folds:
            yield found


async def compared(service: Service, url: str) -> Compared:
    """Rebuilds once.

    Events that arrive meanwhile belong to both sides only when none did: then it is tried again.
    """
    pool = await connect_pool(url, schemas=(projector.schema_of(service),), application="regista-rebuild")
    try:
        for attempt in range(TRIES):
            head, before = await _now(service, pool)
            began = time.monotonic()
            built = await projector.rebuild(service, pool)
            seconds = time.monotonic() - began
            later, after = await _now(service, pool)
            if head == later or attempt == TRIES - 1:
                break
        return Compared(
            service.name,
            built.events,
            sum(built.rows.values()),
            round(seconds, 3),
            before,
            after,
            before == after,
        )
    finally:
        await pool.close()


async def _now(service: Service, pool: asyncpg.Pool) -> tuple[int, str]:
    async with pool.acquire() as connection:
        return await connection.fetchval(HEAD.format(partition=service.name)), await projector.digest(
            service, connection
        )


async def all_compared(urls: dict[str, str]) -> list[Compared]:
    """One after the other."""
    return [await compared(service, url) for name, url in urls.items() for service in services_of(name)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.rebuild", description=__doc__)
    parser.add_argument("services", nargs="+")
    urls: dict[str, str] = json.loads(os.environ["REGISTA_DATABASE_URLS"])
    found = asyncio.run(all_compared({name: urls[name] for name in parser.parse_args().services}))
    print(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
