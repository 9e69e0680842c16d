"""Plans chunks as history grows and has them written by a process of its own.

Every replica does; of those processes one works.
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
from shared.foundation.postgres import CONNECTION_ERRORS

if TYPE_CHECKING:
    import asyncpg

    from shared.http.app import App

log = logging.getLogger(__name__)

LOOK_EVERY = 1.0
"""Seconds between two looks whether a plan waits: one may have been made through another replica."""
PAUSE = 3.0
"""Seconds between two processes, where both another replica's and ours began at once and ours therefore ended."""
FAILED = Counter(
    "regista_audit_export_failures", "Exports of history that ended with an error; each is tried again"
)
WAITING = Gauge(
    "regista_audit_unexported_leaves", "Sealed leaves that are planned to be exported and are not"
)


class Exports:
    """What exports history, and why it could not, if so."""

    def __init__(self, settings: AuditSettings) -> None:
        self._settings = settings
        self._planned_at = self._again_at = 0.0
        self._looked_at = 0
        self.failure = ""

    async def plan(self, pool: asyncpg.Pool, *, everything: bool) -> None:
        """Plans what is there now; `everything`: also what does not fill a chunk."""
        async with pool.acquire() as connection:
            settings = self._settings
            await chunks.plan(
                connection, settings.history_chunk_leaves, settings.history_chunk_bytes, everything=everything
            )

    async def run(self, app: App) -> None:
        """For the life of the process. What is away is waited for: plans are in the database."""
        while True:
            try:
                await self.step(app.pool)
            except CONNECTION_ERRORS as away:
                log.info("the export of history waits (%s: %s)", type(away).__name__, away)
            await asyncio.sleep(LOOK_EVERY)

    async def step(self, pool: asyncpg.Pool) -> None:
        """Plans what has filled a chunk, and has it written unless another process writes."""
        state = await chunks.state(pool)
        if self._may_be_full(state) and time.monotonic() - self._planned_at >= self._settings.history_every:
            await self.plan(pool, everything=False)
            self._planned_at, self._looked_at = time.monotonic(), state.signed
            state = await chunks.state(pool)
        WAITING.set(state.planned - state.exported)
        if state.planned == state.exported:
            self.failure = ""  # whoever exported it
        elif time.monotonic() >= self._again_at and not await chunks.written_now(pool):
            await self._export()
            self._again_at = time.monotonic() + (self._settings.history_every if self.failure else PAUSE)

    def _may_be_full(self, state: chunks.State) -> bool:
        """Looking reads the sizes of up to a chunk's events, so a chunk that its bytes close is looked for at every fiftieth of one."""
        leaves = self._settings.history_chunk_leaves
        return state.signed - state.planned >= leaves or state.signed - self._looked_at >= max(
            1, leaves // 50
        )

    async def _export(self) -> None:
        self.failure = await self._exported()
        if self.failure:
            FAILED.inc()
            log.warning("history could not be exported; it is tried again", extra={"reason": self.failure})

    async def _exported(self) -> str:
        """Why not, or "".

        The process gets its settings by its standard input: no secret is in its arguments.
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
            _, told = await child.communicate(self._settings.model_dump_json().encode())
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                child.kill()
            raise
        if not child.returncode:
            return ""
        return (
            told.decode(errors="replace").strip()[-2000:]
            or f"the process ended with {child.returncode} and said nothing"
        )
