"""Check every few seconds what a process needs, for readiness and metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence

from prometheus_client import Gauge

from shared.deciding.service import Service
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS
from shared.foundation.postgres_errors import raise_if_cancelled
from shared.foundation.telemetry import error_summary
from shared.http.app import App
from shared.log import eventlog
from shared.messaging import relay

UNPUBLISHED = Gauge("regista_relay_lag", "Events of the log not yet published", ["service"])
CHECK_EVERY = 5.0
RETRY_EVERY = 1.0
IDENTITIES_LAG = 5.0
"""Seconds after which identities that were not read again make the process not ready."""
Check = Callable[[App], Awaitable[None]]


class Checks:
    """The checks of a process. `writes` are the services that it writes, `publishes` those with a relay."""

    def __init__(
        self, app: App, writes: Sequence[Service], publishes: Sequence[Service], own: Mapping[str, Check]
    ) -> None:
        self._app, self._publishes = app, publishes
        self._checks: dict[str, Check] = {
            "postgres": self._database,
            "identities": self._identities,
            **({"log": self._log} if writes else {}),
            **own,
        }

    async def run(self) -> None:
        """Check for the life of the process; more often while something is wrong."""
        app = self._app
        while True:
            for part, check in self._checks.items():
                await self._one(part, check)
            await asyncio.sleep(CHECK_EVERY if not app.readiness.reasons else RETRY_EVERY)

    async def _one(self, part: str, check: Check) -> None:
        app = self._app
        try:
            async with asyncio.timeout(CHECK_EVERY):
                await check(app)
        except eventlog.LogStopped as stopped:
            app.standing.stop(str(stopped))
        except Exception as error:  # noqa: BLE001 - any error of a check is its reason
            raise_if_cancelled()
            outage = isinstance(error, CONNECTION_ERRORS)
            if outage and part == "postgres":
                POSTGRES.report(error)
            app.readiness.wait(part, f"cannot be used ({error_summary(error)})", logged=not outage)
        else:
            if part == "postgres":
                POSTGRES.answered()
            app.readiness.clear(part)

    async def _identities(self, app: App) -> None:
        if (lag := app.access.lag()) > IDENTITIES_LAG:
            raise TimeoutError(
                f"identities were read {lag:.0f} s ago: a key revoked since is still valid here"
            )

    async def _database(self, app: App) -> None:
        async with app.pool.acquire() as connection:
            await connection.fetchval("SELECT 1")
            for service in self._publishes:
                UNPUBLISHED.labels(service.name).set(await relay.lag(connection, service))

    async def _log(self, app: App) -> None:
        """Follow what any service finds: all of them stop, and go on when the log is whole again."""
        async with app.pool.acquire() as connection:
            await eventlog.check_not_restored(connection)
            await eventlog.check_not_stopped(connection)
        app.standing.clear()
