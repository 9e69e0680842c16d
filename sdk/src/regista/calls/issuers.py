"""Trusted issuers and the roles of their groups. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import quote

from regista.calls.requests import Requests, given
from regista.errors import Invalid
from regista.shapes.registry import IssuerAnswer, SignInOption, SignInOptions


class IssuerCalls(Requests):
    """Trust issuers of tokens, and give roles to their groups."""

    async def sign_in_options(self) -> list[SignInOption]:
        """Return the issuers at which people sign in, with what a client begins a sign-in with."""
        return (await self._get(SignInOptions, "registry", "/sign-in"))["issuers"]

    async def issuers(self) -> list[IssuerAnswer]:
        """Return the issuers that are or were trusted, with the roles of their groups."""
        return await self._items(IssuerAnswer, "registry", "/issuers")

    async def trust_issuer(
        self,
        issuer: str,
        *,
        audience: str | None = None,
        client_id: str | None = None,
        scopes: Sequence[str] | None = None,
        algorithms: Sequence[str] | None = None,
        groups_claim: str | None = None,
        reason: str = "",
    ) -> IssuerAnswer:
        """Trust the tokens of an issuer, or replace its settings.

        `issuer` is the URL as its tokens name it. The registry reads the issuer's keys first. What is left
        out has the registry's default: audience `regista`, client `regista-cli`, scopes `openid` and
        `profile`, RS256, groups in `groups`.
        """
        body = given(
            issuer=issuer,
            audience=audience,
            client_id=client_id,
            scopes=list(scopes) if scopes else None,
            algorithms=list(algorithms) if algorithms else None,
            groups_claim=groups_claim,
            reason=reason or None,
        )
        return await self._send(IssuerAnswer, "POST", "registry", "/issuers", body)

    async def distrust_issuer(self, issuer: str, reason: str) -> None:
        """Stop trusting an issuer, by its URL or key: no token of it counts any more."""
        await self._delete("registry", f"/issuers/{quote(await self._issuer_key(issuer))}", reason=reason)

    async def map_group(
        self, group: str, role: str, namespace: str, issuer: str | None = None, *, reason: str = ""
    ) -> IssuerAnswer:
        """Give a role to who signs in as a member of the group (`*`: everywhere).

        `issuer`: its URL or key; it may be left out where one is trusted.
        """
        path = f"/issuers/{quote(await self._issuer_key(issuer))}/groups"
        body = {"group": group, "role": role, "namespace": namespace, **given(reason=reason or None)}
        return await self._send(IssuerAnswer, "POST", "registry", path, body)

    async def unmap_group(
        self, group: str, role: str, namespace: str, issuer: str | None = None, *, reason: str = ""
    ) -> None:
        """Take a role from a group, and from all its members."""
        path = f"/issuers/{quote(await self._issuer_key(issuer))}/groups"
        query = {"group": group, "role": role, "namespace": namespace, "reason": reason or None}
        await self._delete("registry", path, **query)

    async def _issuer_key(self, issuer: str | None) -> str:
        """Return the key of an issuer. Raises Invalid when it is none, or not the only one."""
        known = await self.issuers()
        if issuer is None:
            trusted = [one["key"] for one in known if one["trusted"]]
            if len(trusted) == 1:
                return trusted[0]
            raise Invalid(
                "issuer_not_named",
                f"{len(trusted)} issuers are trusted",
                advice="Name one by its URL: `regista access issuer list` shows them.",
            )
        for one in known:
            if issuer in {one["key"], one["issuer"]}:
                return one["key"]
        raise Invalid(
            "unknown_issuer",
            f"{issuer} was never trusted",
            advice="`regista access issuer list` shows those that were.",
        )
