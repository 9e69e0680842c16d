"""Verify tokens of jobs (GitHub Actions, GitLab, Kubernetes, …), and find the trusts that they fit."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from shared.deciding.issuers import Issuer
from shared.deciding.trusts import Trust
from shared.identity.access_view import AccessView
from shared.identity.issuer_keys import IssuerKeys
from shared.identity.sign_ins import KeysUnavailable
from shared.identity.tokens import IssuerKey, TokenRefused, claimed, life_of, verified_claims

STARTER_CLAIMS = ("actor", "user_login")
"""Claims that name who started a job: of GitHub Actions, of GitLab."""
RECORDED = (
    *("sub", "jti", "repository", "repository_id", "repository_owner", "repository_owner_id"),
    *("ref", "sha", "workflow", "workflow_ref", "workflow_sha", "job_workflow_ref"),
    *("run_id", "run_attempt", "event_name", "environment", "actor", "actor_id"),
    *("project_path", "project_id", "namespace_path", "pipeline_id", "pipeline_source", "job_id"),
    *("user_login", "user_id", "ci_config_ref_uri"),
)
"""Claims that the event about a key contains, where the token has them: which job it was."""
LONGEST = 300
"""Maximum length of a recorded claim in characters; longer ones are cut."""
LONGEST_STARTER = 100
LONGEST_JTI = 400


@dataclass(frozen=True, slots=True)
class Offered:
    """A verified token with the trusts that it fits, each with its publisher."""

    issuer: str
    claims: Mapping[str, Any]
    expires_at: datetime
    fitting: tuple[tuple[str, Trust], ...]

    @property
    def jti(self) -> str:
        """The id of the token, "" without one. Raises TokenRefused for one that is no short text."""
        found = self.claims.get("jti")
        if found is None:
            return ""
        if not isinstance(found, str) or not 0 < len(found) <= LONGEST_JTI:
            raise TokenRefused(f"`jti` is no text of 1 to {LONGEST_JTI} characters.")
        return found


class JobTokens:
    """Verifies tokens of the issuers in which a publisher has a trust."""

    def __init__(self, access: AccessView) -> None:
        self._access = access
        self.keys = IssuerKeys(self._issuers)

    def _issuers(self) -> list[Issuer]:
        return [issuer_for_jobs(url) for url in self._access.identities.trusted_for_jobs()]

    async def offered(self, text: str) -> Offered:
        """Return what a token states, and the trusts that it fits, if any.

        Raises TokenRefused, and KeysUnavailable while the issuer's keys were never read.
        """
        wanted = claimed(text)
        if not self._trusts(wanted.issuer):
            await self._access.look_again()
        trusts = self._trusts(wanted.issuer)
        if not trusts:
            raise TokenRefused("No publisher trusts jobs of the issuer of this token: an admin must add it.")
        if not any(wanted.algorithm in trust.algorithms for _, trust in trusts):
            raise TokenRefused("The token is signed with an algorithm that no trust in its issuer names.")
        key = await self._key(issuer_for_jobs(wanted.issuer), wanted.kid)
        return offered(text, trusts, key, datetime.now(UTC))

    def _trusts(self, url: str) -> list[tuple[str, Trust]]:
        return [
            (state.subject, trust)
            for state in self._access.identities.trusting(url)
            for _, trust in sorted(state.trusts.items())
            if trust.issuer == url
        ]

    async def _key(self, issuer: Issuer, kid: str) -> IssuerKey:
        key = self.keys.find(issuer, kid)
        if key is None:
            await self.keys.look_again(issuer)
            key = self.keys.find(issuer, kid)
        if key is None and not self.keys.has_read(issuer):
            raise KeysUnavailable(KeysUnavailable.__doc__)
        if key is None:
            raise TokenRefused("The issuer has no such key (`kid`): get another token.")
        return key


def issuer_for_jobs(url: str, audience: str = "", algorithms: tuple[str, ...] = (), by: str = "") -> Issuer:
    """Return an issuer of tokens of jobs. No person signs in there: it has no client and no groups."""
    return Issuer(url, audience, "", (), algorithms, "", by)


def offered(text: str, trusts: Iterable[tuple[str, Trust]], key: IssuerKey, now: datetime) -> Offered:
    """Return what a token of the issuer of these trusts states, and which of them it fits.

    Raises TokenRefused unless the key verifies it, now.
    """
    wanted, trusts = claimed(text), list(trusts)
    claims = _verified(text, trusts, key, now)
    fitting = tuple(
        (subject, trust)
        for subject, trust in trusts
        if trust.fits(claims) and wanted.algorithm in trust.algorithms and _is_for(claims, trust)
    )
    return Offered(wanted.issuer, claims, life_of(claims)[1], fitting)


def _verified(
    text: str, trusts: Iterable[tuple[str, Trust]], key: IssuerKey, now: datetime
) -> Mapping[str, Any]:
    """Return the claims of a token that is for the audience of one of the trusts. Raises TokenRefused."""
    refused = TokenRefused("The token is for another audience.")
    for url, audience, algorithms in sorted({(t.issuer, t.audience, t.algorithms) for _, t in trusts}):
        issuer = issuer_for_jobs(url, audience, algorithms)
        try:
            return verified_claims(text, issuer, key, now)
        except TokenRefused as why:
            refused = why
    raise refused


def _is_for(claims: Mapping[str, Any], trust: Trust) -> bool:
    """Return whether a token is for the audience of the trust and for no other, which could send it here."""
    return claims["aud"] in (trust.audience, [trust.audience])


def starter_of(trust: Trust, claims: Mapping[str, Any]) -> str:
    """Return the claim that names who started the job; "" where the issuer states none.

    Raises TokenRefused when the token lacks the claim that the trust names, or when it is no short text.
    """
    for name in (trust.starter_claim,) if trust.starter_claim else STARTER_CLAIMS:
        if (found := claims.get(name)) is None:
            continue
        if isinstance(found, str) and 0 < len(found) <= LONGEST_STARTER and found.isprintable():
            return found
        raise TokenRefused(f"`{name}` is no text of 1 to {LONGEST_STARTER} characters.")
    if trust.starter_claim:
        raise TokenRefused(f"The token does not state who started the job (`{trust.starter_claim}`).")
    return ""


def recorded(trust: Trust, claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims that identify the job, for its event: texts only, in bounds."""
    names = (*RECORDED, *(one.name for one in trust.claims), trust.starter_claim)
    found = {name: claims.get(name) for name in names} | dict(_of_kubernetes(claims.get("kubernetes.io")))
    texts = {name: value for name, value in found.items() if isinstance(value, str) and value.isprintable()}
    return {name: value[:LONGEST] for name, value in sorted(texts.items()) if value}


def _of_kubernetes(given: object) -> Iterator[tuple[str, object]]:
    """Yield what Kubernetes states about a pod: `kubernetes.io: {"namespace", "pod": {"name"}, …}`."""
    if isinstance(given, dict):
        yield "kubernetes.io/namespace", given.get("namespace")
        for kind in ("pod", "serviceaccount", "node"):
            if isinstance(one := given.get(kind), dict):
                yield f"kubernetes.io/{kind}", one.get("name")
