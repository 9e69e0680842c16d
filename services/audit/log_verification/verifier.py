"""Verify page after page: continuously behind the seal, and all of the log when a full run is requested."""

from __future__ import annotations

import asyncio
import logging
import time
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import asyncpg
from prometheus_client import Gauge

from regista.wire.keys import SigningKey
from services.audit import queries
from services.audit.log_verification import runs
from services.audit.log_verification.pages import PRODUCTION, RULES, LogState, check_page, log_state
from services.audit.log_verification.runs import Part, Run
from services.audit.tiles import NotTiled
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, leadership
from shared.foundation.postgres_errors import raise_if_cancelled

if TYPE_CHECKING:
    from shared.http.app import App

log = logging.getLogger(__name__)

PAGE = 1_000
LOOK_EVERY = 5.0
"""Seconds between two looks for new leaves or a requested run."""

PATIENCE = 20.0
"""Seconds that a request verifies new leaves itself before it answers with what is verified."""

INDEX_TRIES, INDEX_PAUSE = 20, 0.1
"""How often a request looks whether the index has reached the seal, and the seconds between two looks."""

NOT_INDEXED = {"fault": "not indexed up to the seal: repeat the check when /readyz no longer reports `index`"}

VERIFIED = Gauge("regista_audit_verified_leaves", "Leaves that are verified without a gap")
VIOLATIONS = Gauge("regista_audit_violations", "Violations of invariants that verification found")
BROKEN = Gauge("regista_audit_broken_invariants", "Invariants of which a violation is stored")
ALL_READ = Gauge("regista_audit_verified_since_seconds", "When the newest run over the whole log began")


class InvariantBroken(Exception):  # noqa: N818
    """The log is not as it must be: `regista audit invariants` lists the violations."""


async def check_invariants(pool: asyncpg.Pool) -> None:
    """Raise InvariantBroken while a violation is stored; any replica sees it."""
    broken = await runs.broken(pool)
    BROKEN.set(len(broken))
    if broken:
        raise InvariantBroken(f"{', '.join(broken)}. {InvariantBroken.__doc__}")


@dataclass(frozen=True, slots=True)
class Finding:
    """One invariant. `violations` are the first few; `holds` is about all of them."""

    name: str
    rule: str
    holds: bool
    checked: int
    violations: list[Any]
    took_ms: float


@dataclass(frozen=True, slots=True)
class Report:
    """What is verified.

    `run` read every leaf up to `verified`; `under_way` is a full run that has not finished.
    """

    findings: list[Finding]
    sealed: int
    verified: int
    run: Run
    under_way: Run | None

    @property
    def holds(self) -> bool:
        """Whether no violation was found, neither by the finished run nor by the one under way."""
        found = self.under_way and any(self.under_way.tally(name).violations for name in RULES)
        return all(finding.holds for finding in self.findings) and not found


class Verifier:
    """Verifies with the public half of the key that signs checkpoints.

    `all_every`: seconds from the start of one run over the whole log to the next.
    """

    def __init__(self, key: SigningKey, all_every: float = float("inf")) -> None:
        self._key, self._all_every = key, all_every

    async def run(self, app: App) -> None:
        """Verify in the background for the life of the process; of all replicas one does."""
        while True:
            try:
                async with leadership(app.settings.database_url, "audit verification") as connection:
                    while not connection.is_closed():
                        await self.work(app.pool)
                        await asyncio.sleep(LOOK_EVERY)
                        await connection.fetchval("SELECT 1")
            except NotTiled as waiting:
                log.info("verification waits: %s", waiting)
            except CONNECTION_ERRORS as error:
                raise_if_cancelled()
                POSTGRES.report(error)
            except Exception as fault:  # whatever verification meets, sealing and answering go on
                raise_if_cancelled()
                log.warning("verification starts over", exc_info=fault)
            await asyncio.sleep(LOOK_EVERY)

    async def work(self, pool: asyncpg.Pool) -> None:
        """Finish the full run that was requested, if any, then verify the leaves that are new since."""
        shown, under_way = await runs.runs(pool)
        if under_way is None and (datetime.now(UTC) - shown.requested_at).total_seconds() > self._all_every:
            await self.request(pool)
            shown, under_way = await runs.runs(pool)
        if under_way:
            await asyncio.gather(*(self._verify(pool, part) for part in under_way.bounded))
            _, under_way = await runs.runs(pool)
            if under_way and all(part.next == part.last for part in under_way.bounded):
                await runs.finish(pool, under_way)
            shown, _ = await runs.runs(pool)
        await self._verify(pool, shown.parts[-1])
        shown, _ = await runs.runs(pool)
        VERIFIED.set(shown.verified)
        ALL_READ.set(shown.requested_at.timestamp())
        VIOLATIONS.set(sum(shown.tally(name).violations for name in RULES))

    async def report(self, pool: asyncpg.Pool) -> Report:
        """Verify what is new, as long as PATIENCE lasts, and return what is verified and what was found."""
        began = time.monotonic()
        state = await log_state(pool)
        indexed = await _indexed(pool, state)
        while True:
            shown, _ = await runs.runs(pool)
            await self._verify(pool, shown.parts[-1], until=began + PATIENCE)
            found = await _report(pool, state)
            if found.run.run == shown.run:  # else a full run finished meanwhile: verify what is behind it
                break
        if indexed:
            return found
        marked = [_not_indexed(f) if f.name == PRODUCTION else f for f in found.findings]
        return replace(found, findings=marked)

    async def verified(self, pool: asyncpg.Pool) -> Report:
        """Return what is verified already, and what was found in it, with as few reads for any log."""
        return await _report(pool, await log_state(pool))

    async def request(self, pool: asyncpg.Pool) -> Run:
        """Request a full run, unless one is under way. Return it. Raises NotTiled."""
        await runs.request(pool, await log_state(pool))
        shown, under_way = await runs.runs(pool)
        return under_way or shown

    async def _verify(self, pool: asyncpg.Pool, part: Part, until: float = float("inf")) -> None:
        """Verify pages of a part to its end, to the last sealed and indexed leaf, or until a moment."""
        while time.monotonic() < until:
            at = await log_state(pool)
            end = min(part.next + PAGE, at.verifiable, at.verifiable if part.last is None else part.last)
            if end <= part.next:
                return
            to, findings = await check_page(pool, self._key, at, part.at, end)
            if not await runs.advance(pool, part, to, findings):
                log.info("another process verifies leaves %d and later, too", part.next)
            following = await _again(pool, part)
            if following is None:
                return  # a newer run has replaced this one
            part = following


async def _again(pool: asyncpg.Pool, part: Part) -> Part | None:
    found = [p for run in await runs.runs(pool) if run and run.run == part.run for p in run.parts]
    return next((p for p in found if p.first == part.first), None)


async def _report(pool: asyncpg.Pool, state: LogState) -> Report:
    shown, under_way = await runs.runs(pool)
    findings = [await _finding(pool, shown, name) for name in RULES]
    return Report(findings, state.tree.size, shown.verified, shown, under_way)


async def _indexed(pool: asyncpg.Pool, log_: LogState) -> bool:
    """Return whether the index has reached the seal. It follows in a moment unless something is wrong."""
    for _ in range(INDEX_TRIES):
        if await queries.is_indexed(pool, log_.cursor):
            return True
        await asyncio.sleep(INDEX_PAUSE)
    return False


async def _finding(pool: asyncpg.Pool, run: Run, name: str) -> Finding:
    tally = run.tally(name)
    found = await runs.violations(pool, run, name)
    return Finding(
        name, RULES[name], not (tally.violations or found), tally.checked, found, round(tally.took_ms, 1)
    )


def _not_indexed(finding: Finding) -> Finding:
    return Finding(
        finding.name,
        finding.rule,
        holds=False,
        checked=finding.checked,
        violations=[NOT_INDEXED, *finding.violations],
        took_ms=finding.took_ms,
    )
