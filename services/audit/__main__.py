"""`python -m services.audit` runs the service; `python -m services.audit rebuild` reads the log again into a new index."""

from __future__ import annotations

import asyncio
import sys

import asyncpg

from services.audit import indexing, store
from services.audit.service import process
from shared.run import main
from shared.settings import Settings


async def rebuild(url: str) -> indexing.Rebuilt:
    """Rebuilds the index of the database at `url`, beside a running service."""
    connection = await asyncpg.connect(url, command_timeout=60)
    try:
        await store.ensure(connection)
        return await indexing.rebuild(connection)
    finally:
        await connection.close()


if __name__ == "__main__":
    if sys.argv[1:] == ["rebuild"]:
        rebuilt = asyncio.run(rebuild(Settings.from_environment().database_url))
        sys.stdout.write(f"{rebuilt.events} events read, generation {rebuilt.generation} is shown\n")
    else:
        main(process)
