"""Reports of audit over all models. Answers are the service's JSON.

Times are RFC 3339, or days in UTC: a period contains its last day, and a day as a moment means its end.
"""

from __future__ import annotations

from urllib.parse import quote

from regista.calls.requests import Json, Requests


class ReportCalls(Requests):
    """Read decisions of a period, what served at a time, and who could do what."""

    async def promotions(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Json]:
        """Return the promotions of a period with who requested and who approved, the newest first."""
        return await self._all("audit", "/reports/promotions", limit, since=since, until=until, model=model)

    async def denials(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Json]:
        """Return the promotions that were denied or refused in a period, with reasons, the newest first."""
        return await self._all("audit", "/reports/denials", limit, since=since, until=until, model=model)

    async def overrides(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Json]:
        """Return the break-glass overrides of a period, with what they bypassed, the newest first."""
        return await self._all("audit", "/reports/overrides", limit, since=since, until=until, model=model)

    async def serving_at(
        self, at_time: str | None = None, environment: str | None = None, limit: int | None = None
    ) -> list[Json]:
        """Return what served at a time in all models and environments, with who approved each version."""
        return await self._all("audit", "/reports/serving", limit, at=at_time, environment=environment)

    async def acts(
        self, subject: str, since: str | None = None, until: str | None = None, limit: int | None = None
    ) -> list[Json]:
        """Return everything that an identity did, or others on its behalf, the newest first."""
        path = f"/reports/acts/{quote(subject, safe='')}"
        return await self._all("audit", path, limit, since=since, until=until)

    async def rights_at(
        self,
        at_time: str | None = None,
        role: str | None = None,
        namespace: str | None = None,
        limit: int | None = None,
    ) -> list[Json]:
        """Return who held which role, and which keys were live, at a time."""
        return await self._all("audit", "/reports/rights", limit, at=at_time, role=role, namespace=namespace)

    async def policies_at(
        self, at_time: str | None = None, name: str | None = None, model: str | None = None
    ) -> list[Json]:
        """Return the policies in force at a time, or the one behind a model's newest promotion then."""
        return await self._all("audit", "/reports/policies", None, at=at_time, name=name, model=model)
