"""Drop and rebuild the read models of running services from the log, and compare them with those before.

`regista rebuild` runs `python -m services.local.rebuild registry …` and writes the URL of each service's role
to its standard input, as JSON.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
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
    """The digests of one service's read models before and after, the number of events, and the duration."""

    service: str
    events: int
    rows: int
    seconds: float
    before: str
    after: str
    equal: bool


def services_of(name: str) -> Iterator[Service]:
    """Yield the services of a process: its own, and `access` in registry."""
    module = importlib.import_module(f"services.{name}.service")
    for attribute in ("SERVICE", "ACCESS_SERVICE"):
        found = getattr(module, attribute, None)
        if found is not None and found.folds:
            yield found


async def compared(service: Service, url: str) -> Compared:
    """Rebuild once and compare. Repeat when events arrived meanwhile, because then the digests differ."""
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
    """Rebuild the services one after the other."""
    return [await compared(service, url) for name, url in urls.items() for service in services_of(name)]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m services.local.rebuild", description=__doc__)
    parser.add_argument("services", nargs="+")
    urls: dict[str, str] = json.load(sys.stdin)
    found = asyncio.run(all_compared({name: urls[name] for name in parser.parse_args().services}))
    print(json.dumps([asdict(one) for one in found]))


if __name__ == "__main__":
    main()
