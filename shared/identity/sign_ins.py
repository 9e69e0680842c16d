"""Turn a token of a trusted issuer into an actor, with the roles that the log has for the person."""

from __future__ import annotations

from datetime import UTC, datetime

from shared.deciding.access import AccessState
from shared.deciding.acting import acting
from shared.deciding.decider import Forbidden
from shared.deciding.events import Actor
from shared.deciding.issuers import METHOD, Issuer, appointers_of, mapped_groups, subject_of_issuer
from shared.identity.access_view import AccessView
from shared.identity.identities import Identified, Identities
from shared.identity.issuer_keys import IssuerKeys
from shared.identity.tokens import Token, TokenRefused, claimed, verified
from shared.identity.verified_tokens import VerifiedTokens


class SignInNeeded(Exception):  # noqa: N818 - it is the answer
    """The log does not have what this token shows: the client sends it to POST /v1/sign-ins and repeats."""


class KeysUnavailable(Exception):  # noqa: N818 - it is the answer
    """The keys of a trusted issuer were never read, because it is unreachable."""


class SignIns:
    """Verifies tokens in this process."""

    def __init__(self, access: AccessView, pepper: str) -> None:
        self._access = access
        self._pepper = pepper
        self.keys = IssuerKeys(self._trusted)
        self._kept = VerifiedTokens(self._issuer, self.keys.find)

    def _trusted(self) -> list[Issuer]:
        streams = self._access.identities.issuers()
        return [one.issuer for one in streams if one.issuer is not None and one.issuer.trusted]

    async def verified(self, text: str) -> Token:
        """Return a token that a trusted issuer signed and that is valid now.

        Raises TokenRefused or KeysUnavailable. A token of an issuer that is not known makes it catch up with
        the log; one with an unknown key reads the issuer's keys again, at a limited rate.
        """
        if (kept := self._kept.find(text, datetime.now(UTC))) is not None:
            return kept
        wanted = claimed(text)
        issuer = self._issuer(wanted.issuer)
        if issuer is None:
            await self._access.look_again()
            issuer = self._issuer(wanted.issuer)
        if issuer is None:
            raise TokenRefused(
                "The issuer of the token is not trusted here: sign in at one that is (`regista login`)."
            )
        if wanted.algorithm not in issuer.algorithms:
            raise TokenRefused(f"Tokens of this issuer are signed with {' or '.join(issuer.algorithms)}.")
        key = self.keys.find(issuer, wanted.kid)
        if key is None:
            await self.keys.look_again(issuer)
            key = self.keys.find(issuer, wanted.kid)
        if key is None and not self.keys.has_read(issuer):
            raise KeysUnavailable(KeysUnavailable.__doc__)
        if key is None:
            raise TokenRefused("The issuer has no such key (`kid`): sign in again.")
        token = verified(text, issuer, key, self._pepper, datetime.now(UTC))
        self._kept.keep(text, issuer, key, token)
        return token

    def _issuer(self, url: str) -> Issuer | None:
        found = self._access.identities.issuer(url)
        return found.issuer if found else None

    async def identify(self, token: Token) -> Identified:
        """Return the person of a verified token.

        Raises SignInNeeded when the log does not have what the token shows, and Forbidden for a person who is
        disabled or an issuer that is not trusted any more.
        """
        try:
            return identified(token, self._access.identities)
        except SignInNeeded:
            await self._access.look_again()
            return identified(token, self._access.identities)


def identified(token: Token, identities: Identities) -> Identified:
    """Return the person of a verified token with the roles that count. Raises as `SignIns.identify` does."""
    of_issuer = identities.state_of(subject_of_issuer(token.issuer))
    person = identities.state_of(identities.subject_of(token.account))
    if person.disabled:
        raise Forbidden(
            "identity_disabled",
            f"{person.subject} is disabled: an admin must enable it again.",
            subject=person.subject,
        )
    if not _is_recorded(token, person, of_issuer):
        raise SignInNeeded(SignInNeeded.__doc__)
    actor = Actor(person.subject, method=METHOD + token.issuer)
    return Identified(actor, acting(person, actor.method, of_issuer), token.expires_at)


def _is_recorded(token: Token, person: AccessState, of_issuer: AccessState) -> bool:
    """Return whether the log has what the token shows; one older than the last sign-in shows nothing new."""
    last = person.sign_ins.get(token.issuer)
    if last is None:
        return False
    if of_issuer.issuer is None or token.issued_at <= last.token_at:
        return True
    groups = mapped_groups(token.groups, of_issuer.mapped)
    recorded = mapped_groups(last.groups, of_issuer.mapped)
    appointed_by = appointers_of(groups, of_issuer.issuer, of_issuer.mapped)
    return groups == recorded and appointed_by <= last.appointed_by
