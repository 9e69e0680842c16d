"""Reports of audit over all models. Answers are the service's JSON.

Times are RFC 3339, or days in UTC: a period contains its last day, and a day as a moment means its end.
"""

from __future__ import annotations

from urllib.parse import quote

from regista.calls.requests import Requests
from regista.shapes.audit import Act, Decision, IdentityRights, InService, IssuerThen, PolicyInForce


class ReportCalls(Requests):
    """Read decisions of a period, what served at a time, and who could do what."""

    async def promotions(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Return the promotions of a period with who requested and who approved, the newest first."""
        return await self._all(
            Decision, "audit", "/reports/promotions", limit, since=since, until=until, model=model
        )

    async def denials(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Return the promotions that were denied or refused in a period, with reasons, the newest first."""
        return await self._all(
            Decision, "audit", "/reports/denials", limit, since=since, until=until, model=model
        )

    async def overrides(
        self,
        since: str | None = None,
        until: str | None = None,
        model: str | None = None,
        limit: int | None = None,
    ) -> list[Decision]:
        """Return the break-glass overrides of a period, with what they bypassed, the newest first."""
        return await self._all(
            Decision, "audit", "/reports/overrides", limit, since=since, until=until, model=model
        )

    async def serving_at(
        self, at_time: str | None = None, environment: str | None = None, limit: int | None = None
    ) -> list[InService]:
        """Return what served at a time in all models and environments, with who approved each version."""
        return await self._all(
            InService, "audit", "/reports/serving", limit, at=at_time, environment=environment
        )

    async def acts(
        self, subject: str, since: str | None = None, until: str | None = None, limit: int | None = None
    ) -> list[Act]:
        """Return everything that an identity did, or others on its behalf, the newest first."""
        path = f"/reports/acts/{quote(subject, safe='')}"
        return await self._all(Act, "audit", path, limit, since=since, until=until)

    async def rights_at(
        self,
        at_time: str | None = None,
        role: str | None = None,
        namespace: str | None = None,
        limit: int | None = None,
    ) -> list[IdentityRights]:
        """Return who held which role, and which keys were live, at a time."""
        return await self._all(
            IdentityRights, "audit", "/reports/rights", limit, at=at_time, role=role, namespace=namespace
        )

    async def issuers_at(self, at_time: str | None = None) -> list[IssuerThen]:
        """Return which issuers were trusted at a time, and which roles their groups had."""
        return await self._all(IssuerThen, "audit", "/reports/issuers", None, at=at_time)

    async def policies_at(
        self, at_time: str | None = None, name: str | None = None, model: str | None = None
    ) -> list[PolicyInForce]:
        """Return the policies in force at a time, or the one behind a model's newest promotion then."""
        return await self._all(
            PolicyInForce, "audit", "/reports/policies", None, at=at_time, name=name, model=model
        )
