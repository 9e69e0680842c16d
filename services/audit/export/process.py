"""Plan chunks as the log grows, and start the process that writes them.

Every replica does; one such process works.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
import time
from typing import TYPE_CHECKING

from prometheus_client import Counter, Gauge

from services.audit.export import chunks
from services.audit.settings import AuditSettings
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS
from shared.foundation.postgres_errors import raise_if_cancelled

if TYPE_CHECKING:
    import asyncpg

    from shared.http.app import App

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks for a plan: another replica may have made one."""
PAUSE = 3.0
"""Seconds to the next process after one ended because that of another replica works."""
FAILED = Counter(
    "regista_audit_export_failures", "Exports of history that ended with an error; each is tried again"
)
WAITING = Gauge(
    "regista_audit_unexported_leaves", "Sealed leaves that are planned to be exported and are not"
)


class Exports:
    """Starts exports. `failure` is why the last one failed, or ""."""

    def __init__(self, settings: AuditSettings) -> None:
        self._settings = settings
        self._planned_at = self._again_at = 0.0
        self._looked_at = 0
        self.failure = ""

    async def plan(self, pool: asyncpg.Pool, *, everything: bool) -> None:
        """Plan what is sealed now; `everything`: also leaves that do not fill a chunk."""
        async with pool.acquire() as connection:
            settings = self._settings
            await chunks.plan(
                connection, settings.history_chunk_leaves, settings.history_chunk_bytes, everything=everything
            )

    async def run(self, app: App) -> None:
        """Plan and export for the life of the process. Wait while the database is unreachable."""
        while True:
            try:
                await self.step(app.pool)
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)
            await asyncio.sleep(LOOK_EVERY)

    async def step(self, pool: asyncpg.Pool) -> None:
        """Plan full chunks, and export them unless another process does."""
        state = await chunks.state(pool)
        if self._may_be_full(state) and time.monotonic() - self._planned_at >= self._settings.history_every:
            await self.plan(pool, everything=False)
            self._planned_at, self._looked_at = time.monotonic(), state.signed
            state = await chunks.state(pool)
        WAITING.set(state.planned - state.exported)
        if state.planned == state.exported:
            self.failure = ""  # another replica may have exported it
        elif time.monotonic() >= self._again_at and not await chunks.written_now(pool):
            await self._export()
            self._again_at = time.monotonic() + (self._settings.history_every if self.failure else PAUSE)

    def _may_be_full(self, state: chunks.State) -> bool:
        """Return whether a chunk may be full.

        A look reads the sizes of a chunk's events: look once for each fiftieth of a chunk.
        """
        leaves = self._settings.history_chunk_leaves
        return state.signed - state.planned >= leaves or state.signed - self._looked_at >= max(
            1, leaves // 50
        )

    async def _export(self) -> None:
        self.failure = await self._exported()
        if self.failure:
            FAILED.inc()
            log.warning("the log could not be exported; it is tried again", extra={"reason": self.failure})

    async def _exported(self) -> str:
        """Run the process and return why it failed, or "".

        The process reads its settings from its standard input, so that no secret is in its arguments.
        """
        try:
            child = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.audit",
                "export",
                "--settings",
                "-",
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.PIPE,
            )
        except OSError as e:
            return f"no process could be started: {e}"
        try:
            _, output = await child.communicate(self._settings.model_dump_json().encode())
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            raise
        if not child.returncode:
            return ""
        return (
            output.decode(errors="replace").strip()[-2000:]
            or f"the process ended with code {child.returncode} and without a message"
        )
