"""Measure questions and pages on one log at several sizes: what becomes slower as the log grows.

`python -m benchmarks growth` measures 2,000 and 20,000 versions; REGISTA_BENCH_VERSIONS sets other sizes:
`REGISTA_BENCH_VERSIONS=10000,1000000 python -m benchmarks growth`.
"""

from __future__ import annotations

from collections.abc import Sequence

import asyncpg

from benchmarks import pages, questions
from benchmarks.copied_log import CopiedLog
from benchmarks.figures import Figure
from benchmarks.large_log import SIZES, fill, sealed, seed
from benchmarks.servers import Servers

SERVICES = ("registry", "approval", "artifact", "cleanup", "audit", "console")


async def measure(servers: Servers) -> Sequence[Figure]:
    owner = await asyncpg.connect(servers.stack.owner_url())
    log = CopiedLog(owner)
    await log.read_seed(await seed(servers, owner))
    asked, visited = [], []
    for versions in SIZES:
        await fill(servers, log, versions)
        with servers.running(*SERVICES):
            events = await sealed(servers, owner)
            print(f"  {versions:,} versions in {events:,} events", flush=True)
            asked.append(await questions.ask(servers, versions, events))
            visited.append(pages.visit(servers, versions))
    await owner.close()
    return [*questions.figures(asked), *pages.figures(visited)]
