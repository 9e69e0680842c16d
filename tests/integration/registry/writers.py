"""A replica's way into the log, without HTTP: two of them submit at the same moment."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import asyncpg

from services.registry.domain.serving.environment import ENVIRONMENTS, RetireEnvironment
from services.registry.domain.serving.rollback import RollBack
from services.registry.domain.serving.rollout import ChangeRollout, Share
from services.registry.domain.serving.stop import StopRollout
from services.registry.look_ups import retirement
from services.registry.service import SERVICE
from shared.deciding.events import Actor
from shared.deciding.submission import Cause, Permission, Submission
from shared.foundation.postgres import Unavailable, WakeUp, connect_pool
from shared.log.transact import Transactor


def a_cause() -> Cause:
    return Cause("http/root", str(uuid.uuid4()), b"")


@dataclass
class Writer:
    pool: asyncpg.Pool
    transactor: Transactor

    async def submit(self, command: Any, cause: Cause | None = None) -> Any:
        """Submit a command on its model's stream; repeat it while the database is unavailable."""
        asked = Submission(
            command,
            (f"model-{command.model_id}",),
            cause or a_cause(),
            Actor("root"),
            depends_on=(ENVIRONMENTS,),
        )
        for _ in range(50):
            try:
                return await self.transactor.submit(asked)
            except Unavailable:
                continue
        raise AssertionError

    async def retire(self, environment: str) -> Any:
        command = RetireEnvironment("", environment)
        return await self.transactor.submit(
            retirement(command, a_cause(), Actor("root"), Permission("admin"), "it is old")
        )

    async def stop(self, model_id: str, environment: str) -> Any:
        return await self.submit(StopRollout(model_id, environment))

    async def go_back(self, model_id: str, environment: str, to: int) -> Any:
        return await self.submit(RollBack(model_id, environment, to))

    async def switch(self, model_id: str, *shares: Share, cause: Cause | None = None) -> Any:
        return await self.submit(ChangeRollout(model_id, "production", shares), cause)

    async def is_used_and_retired(self, name: str) -> bool:
        found: bool = await self.pool.fetchval(
            "SELECT EXISTS (SELECT FROM environments e JOIN rollouts r ON r.environment = e.name "
            "WHERE e.name = $1 AND e.retired AND r.champion > 0)",
            name,
        )
        return found


@asynccontextmanager
async def two_writers(url: str) -> AsyncIterator[list[Writer]]:
    made, tasks = list[Writer](), list[asyncio.Task[None]]()
    for _ in range(2):
        pool, wake_up = await connect_pool(url, schemas=("registry",)), WakeUp(url, "registry")
        made.append(Writer(pool, Transactor(SERVICE, pool, wake_up)))
        tasks += [asyncio.create_task(made[-1].transactor.run()), asyncio.create_task(wake_up.run())]
    try:
        yield made
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for writer in made:
            await writer.pool.close()
