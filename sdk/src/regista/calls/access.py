"""Access: identities, their names, keys and roles. Answers are the service's JSON."""

from __future__ import annotations

from collections.abc import Iterable
from urllib.parse import quote

from regista.calls.requests import Requests, given
from regista.choices import IdentityKind
from regista.errors import Forbidden, Invalid, NotFound, RegistaError
from regista.shapes.registry import (
    Caller,
    ErasureAnswer,
    IdentityAnswer,
    KeyAnswer,
    Link,
    Names,
    ServiceKey,
    ServiceKeys,
    SignInAnswer,
)

NAMES_AT_ONCE = 100


class RotatedKey(KeyAnswer):
    """The new key. `old_revoked` is False when the outcome of the revocation of the old one is unknown."""

    old_revoked: bool


class AccessCalls(Requests):
    """Create identities and groups, issue keys, grant roles."""

    async def identities(self, limit: int | None = None) -> list[IdentityAnswer]:
        """Return people, publishers and services with their roles and keys, at most `limit`."""
        return await self._all(IdentityAnswer, "registry", "/access/identities", limit)

    async def identity(self, subject: str) -> IdentityAnswer:
        """Return one identity with its roles and keys. Each caller may read their own."""
        return await self._get(IdentityAnswer, "registry", _identity(subject))

    async def whoami(self) -> Caller:
        """Return who sends this request: subject, name, roles, and the key with its expiry."""
        return await self._get(Caller, "registry", "/access/me")

    async def sign_in(self) -> SignInAnswer:
        """Let the registry record the person and the groups of the token that this request carries.

        The client does this by itself when a service needs it. The answer has the roles, and until when the
        token is valid.
        """
        return await self._send(SignInAnswer, "POST", "registry", "/sign-ins")

    async def disable_identity(self, subject: str, reason: str) -> IdentityAnswer:
        """Take all effect from an identity's keys and roles, until it is enabled again."""
        return await self._send(
            IdentityAnswer, "POST", "registry", f"{_identity(subject)}:disable", {"reason": reason}
        )

    async def enable_identity(self, subject: str, reason: str) -> IdentityAnswer:
        """Let a disabled identity act again, with the keys and roles that it has."""
        return await self._send(
            IdentityAnswer, "POST", "registry", f"{_identity(subject)}:enable", {"reason": reason}
        )

    async def add_member(self, group: str, member: str, reason: str = "") -> IdentityAnswer:
        """Add a person or publisher to a group: it gets every role of the group."""
        body = {"member": member, **given(reason=reason or None)}
        return await self._send(IdentityAnswer, "PUT", "registry", f"{_identity(group)}/members", body)

    async def remove_member(self, group: str, member: str, reason: str = "") -> None:
        """Remove a member of a group: it loses the roles of the group."""
        await self._delete("registry", f"{_identity(group)}/members", member=member, reason=reason or None)

    async def service_keys(self) -> list[ServiceKey]:
        """Return the public keys of the services as JSON Web Keys, with the times in which they are valid."""
        return (await self._get(ServiceKeys, "registry", "/keys"))["keys"]

    async def subject_of(self, person: str) -> str:
        """Return the subject of the one identity with this subject or name.

        Without a match, or when the caller may not list identities, it is `person` as given. Raises Invalid
        when several identities have the name.
        """
        try:
            found = await self.identities()
        except Forbidden:
            return person
        if any(one["subject"] == person for one in found):
            return person
        named = [one["subject"] for one in found if (one.get("name") or "").casefold() == person.casefold()]
        if len(named) > 1:
            raise Invalid("ambiguous_name", f"{person} is the name of {', '.join(named)}: name the subject")
        return named[0] if named else person

    async def create_identity(
        self, subject: str | None, kind: IdentityKind, name: str = "", reason: str = ""
    ) -> IdentityAnswer:
        """Create an identity. It can do nothing before it has a key and a role.

        Without `subject` the registry makes a random one that identifies no person. `kind`: person,
        publisher, service or group.
        """
        body = {"kind": kind, "name": name} | given(subject=subject or None, reason=reason or None)
        return await self._send(IdentityAnswer, "POST", "registry", "/access/identities", body)

    async def set_name(self, subject: str, name: str) -> IdentityAnswer:
        """Set or correct a name. Earlier signatures keep the name printed on them."""
        return await self._send(
            IdentityAnswer, "PUT", "registry", f"{_identity(subject)}/name", {"name": name}
        )

    async def erase_name(self, subject: str, reason: str) -> ErasureAnswer:
        """Erase a name; the answer lists where it is kept.

        The reason stays in the log permanently: write it without the name.
        """
        path = f"{_identity(subject)}:erase-name"
        return await self._send(ErasureAnswer, "POST", "registry", path, {"reason": reason})

    async def names(self, subjects: Iterable[str]) -> dict[str, str | None]:
        """Return the names of subjects: None for an erased name, no entry for a subject without a name."""
        wanted, found = sorted({s for s in subjects if s and "," not in s}), dict[str, str | None]()
        for first in range(0, len(wanted), NAMES_AT_ONCE):
            page = ",".join(wanted[first : first + NAMES_AT_ONCE])
            found |= (await self._get(Names, "registry", "/access/names", subjects=page))["names"]
        return found

    async def issue_key(
        self,
        subject: str,
        *,
        key_id: str | None = None,
        public_key: str | None = None,
        expires_at: str | None = None,
        never_expires: bool = False,
        without_groups: bool = False,
        reason: str = "",
    ) -> KeyAnswer:
        """Issue an API key, or register a signing key.

        The answer has the API key; no later answer shows it. With `public_key` (hex) and `key_id` the call
        registers a signing key made elsewhere. `expires_at`: RFC 3339; without it the registry's default
        (a year) counts, unless an admin sends `never_expires`. Each identity may issue itself a key, so that
        it can rotate its own. An API key that you issue yourself with a sign-in has the roles of your groups
        and ends after 24 hours; `without_groups` makes one with the roles granted to you only. Raises
        RegistaError with the code `key_not_shown` when the answer with the API key was lost.
        """
        body = given(
            key_id=key_id,
            public_key=public_key,
            expires_at=expires_at,
            never_expires=never_expires or None,
            without_groups=without_groups or None,
            reason=reason or None,
        )
        return _with_its_key(
            await self._send(KeyAnswer, "POST", "registry", f"{_identity(subject)}/keys", body)
        )

    async def rotate_key(
        self,
        subject: str,
        old_key_id: str,
        *,
        key_id: str | None = None,
        public_key: str | None = None,
        expires_at: str | None = None,
    ) -> RotatedKey:
        """Issue a new key as `issue_key` does, then revoke the old one.

        The old key is revoked only after the new one has arrived, so a lost answer leaves a valid key.
        `old_revoked` in the answer is False when the outcome of the revocation is unknown: then the new key
        is valid, and the identity lists whether the old one still is.
        """
        if all(known["key_id"] != old_key_id for known in (await self.identity(subject)).get("keys") or ()):
            raise NotFound(
                "unknown_key",
                f"{subject} has no key {old_key_id}",
                advice=f"`regista access identity show {subject}` lists the keys.",
            )
        try:
            issued = await self.issue_key(
                subject, key_id=key_id, public_key=public_key, expires_at=expires_at
            )
        except RegistaError as lost:
            if lost.code != "key_not_shown":
                raise
            await self.revoke_key(subject, lost.facts["key_id"], "its only answer was lost")
            issued = await self.issue_key(
                subject, key_id=key_id, public_key=public_key, expires_at=expires_at
            )
        try:
            await self.revoke_key(subject, old_key_id, f"replaced by {issued['key_id']}")
        except RegistaError:  # a refusal, too: a lost first attempt may have revoked this client's own key
            return {**issued, "old_revoked": False}
        return {**issued, "old_revoked": True}

    async def revoke_key(
        self, subject: str, key_id: str, reason: str = "", *, compromised: bool = False
    ) -> None:
        """Revoke a key. With `compromised`, earlier signatures of a service with it become invalid, too."""
        query = {"reason": reason or None, "compromised": True if compromised else None}
        await self._delete("registry", f"{_identity(subject)}/keys/{quote(key_id)}", **query)

    async def links(self, limit: int | None = None) -> list[Link]:
        """Return which identities and logins count as one person, since when and why, at most `limit`."""
        return await self._all(Link, "registry", "/access/links", limit)

    async def link_identity(
        self, subject: str, other: str = "", *, reason: str, login: bool = False, proof: str = ""
    ) -> IdentityAnswer:
        """Count two identities of one human being as one person, from now on.

        With `login`, `other` is a name under which the person starts jobs. An admin links; or the person, by
        `proof`: an API key or access token of the other identity, which then needs no name.
        """
        body = {"reason": reason} | given(other=other or None, login=login or None, proof=proof or None)
        return await self._send(IdentityAnswer, "PUT", "registry", f"{_identity(subject)}/links", body)

    async def unlink_identity(self, subject: str, other: str, reason: str, *, login: bool = False) -> None:
        """Count two identities as two people from now on. What was decided before stays as it is."""
        query = {"other": other, "login": True if login else None, "reason": reason}
        await self._delete("registry", f"{_identity(subject)}/links", **query)

    async def grant(self, subject: str, role: str, namespace: str, reason: str = "") -> IdentityAnswer:
        """Grant a role in a namespace and those below it (`*`: everywhere)."""
        body = {"role": role, "namespace": namespace, **given(reason=reason or None)}
        return await self._send(IdentityAnswer, "PUT", "registry", f"{_identity(subject)}/roles", body)

    async def revoke_role(self, subject: str, role: str, namespace: str, reason: str = "") -> None:
        """Revoke a role in a namespace."""
        query = {"role": role, "namespace": namespace, "reason": reason or None}
        await self._delete("registry", f"{_identity(subject)}/roles", **query)


def _with_its_key(issued: KeyAnswer) -> KeyAnswer:
    """Return the answer. Raises RegistaError when the only answer that showed the API key was lost."""
    if "api_key" in issued and not issued["api_key"] and issued.get("algorithm") != "ed25519":
        raise RegistaError(
            "key_not_shown",
            f"the key {issued['key_id']} was issued, but the answer that showed it was lost",
            advice="Revoke that key and issue another: "
            f"`regista access key rotate {issued.get('subject', '')} {issued['key_id']}`.",
            facts=dict(issued),
        )
    return issued


def _identity(subject: str) -> str:
    return f"/access/identities/{quote(subject, safe='')}"
