"""Trusts: which CI jobs act as which publisher, without a stored secret. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from urllib.parse import quote

from regista.calls.requests import Requests, given
from regista.shapes.registry import TrustAnswer


class TrustCalls(Requests):
    """Let the jobs of a project act as a publisher."""

    async def trusts(self) -> list[TrustAnswer]:
        """Return the trusts of all publishers."""
        return await self._items(TrustAnswer, "registry", "/trusts")

    async def add_trust(
        self,
        issuer: str,
        claims: Mapping[str, str],
        publisher: str,
        namespaces: Sequence[str],
        *,
        audience: str | None = None,
        algorithms: Sequence[str] | None = None,
        starter_claim: str | None = None,
        reason: str = "",
    ) -> TrustAnswer:
        """Let jobs whose token an issuer signed, with these claims, act as a publisher.

        `claims`: the exact value of each, or one that ends in `/*` for one more part; one of them names a
        project (`repository`, `project_path`, `sub`). The key of a job has the role publisher in
        `namespaces`. `starter_claim` names the person who started the job; left out, the registry uses those
        of GitHub and GitLab. What else is left out has its default: audience `regista`, RS256.
        """
        body = given(
            issuer=issuer,
            audience=audience,
            algorithms=list(algorithms) if algorithms else None,
            claims=[{"name": name, "value": value} for name, value in claims.items()],
            publisher=publisher,
            namespaces=list(namespaces),
            starter_claim=starter_claim,
            reason=reason or None,
        )
        return await self._send(TrustAnswer, "POST", "registry", "/trusts", body)

    async def remove_trust(self, trust_id: str, reason: str) -> None:
        """Remove a trust. The keys that jobs have by it end immediately."""
        await self._delete("registry", f"/trusts/{quote(trust_id, safe='')}", reason=reason)
