"""Keep all identities in memory, and find callers, signers and issuers among them."""

from __future__ import annotations

import hmac
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.deciding.access import (
    ACCESS,
    NO_ROLE,
    AccessEvent,
    AccessState,
    IdentityDisabled,
    KeyIssued,
    KeyRevoked,
    check,
    evolve_access,
)
from shared.deciding.acting import acting, issuer_in, method_of, with_roles_of
from shared.deciding.decider import Forbidden
from shared.deciding.events import START, Actor, Cursor, Recorded, key_id_of
from shared.deciding.issuers import IssuerTrusted, SignedIn, subject_of_issuer
from shared.deciding.links import subject_of_login
from shared.deciding.one_person import logins, one_person
from shared.deciding.submission import Permission
from shared.deciding.trusts import TrustAdded, TrustRemoved
from shared.identity.public_keys import PublicKeyRecord, Signer


@dataclass(frozen=True, slots=True)
class Identified:
    """A caller whose key or token was verified. `until` is when the token ends, None for an API key."""

    actor: Actor
    state: AccessState
    until: datetime | None = None

    @property
    def key_id(self) -> str:
        return key_id_of(self.actor.method)


class Identities:
    """All identities in memory, by key and by subject.

    A look-up costs one read of a dict and at most one HMAC.
    """

    def __init__(self, pepper: str) -> None:
        self.at: Cursor = START
        """The position in the log before which no event can appear any more."""
        self._pepper = pepper.encode()
        self._states: dict[str, AccessState] = {}
        self._revisions: dict[str, int] = {}
        self._owner: dict[str, tuple[Cursor, str]] = {}
        self._issued_at: dict[tuple[str, str], datetime] = {}
        self._revoked_at: dict[tuple[str, str], datetime] = {}
        self._disabled_at: dict[str, datetime] = {}
        self._accounts: dict[str, str] = {}
        self._issuers: dict[str, str] = {}
        self._trusting: dict[str, set[str]] = {}
        """The publishers that have, or had, a trust in an issuer, by its URL."""

    def has(self, stream: str, revision: int) -> bool:
        """Return whether this event of the log is applied already."""
        return self._revisions.get(stream, 0) >= revision

    def apply_recorded(self, recorded: Recorded, cursor: Cursor) -> None:
        """Fold an event of the log, once. Events of one stream come in the order of their revisions."""
        if not self.has(recorded.stream, recorded.revision):
            self._revisions[recorded.stream] = recorded.revision
            self.apply(recorded.event, recorded.recorded_at, cursor)

    def apply(self, event: AccessEvent, at: datetime, cursor: Cursor = START) -> None:
        """Fold one event, recorded at `at`, at this position in the log.

        A key id belongs to the subject that was issued it first in the order of the log: a stream
        contains its own keys only, so nothing prevents another stream from issuing the same id. Events of
        two streams may come in another order than that of the log.
        """
        before = self._states.get(event.subject, ACCESS.initial)
        after = self._states[event.subject] = evolve_access(before, event)
        if isinstance(event, KeyIssued):
            if event.job is not None:
                self._drop(event.subject, set(before.keys) - set(after.keys))
            first = self._owner.get(event.key_id)
            if first is None or cursor < first[0]:
                self._owner[event.key_id] = cursor, event.subject
            self._issued_at.setdefault((event.subject, event.key_id), at)
        if isinstance(event, IdentityDisabled):
            self._disabled_at[event.subject] = at
        if isinstance(event, SignedIn):
            self._accounts[event.account] = event.subject
        if isinstance(event, IssuerTrusted):
            self._issuers[event.issuer] = event.subject
        if isinstance(event, KeyRevoked):
            self._revoked_at.setdefault((event.subject, event.key_id), at)
        if isinstance(event, TrustAdded):
            self._trusting.setdefault(event.issuer, set()).add(event.subject)
        if isinstance(event, TrustRemoved):
            for key in after.keys.values():
                if key.trust == event.trust_id:
                    self._revoked_at.setdefault((event.subject, key.key_id), at)

    def _drop(self, subject: str, key_ids: Iterable[str]) -> None:
        """Drop what is kept of keys that the state of the subject has no more."""
        for key_id in key_ids:
            if self._owner.get(key_id, (START, ""))[1] == subject:
                del self._owner[key_id]
            self._issued_at.pop((subject, key_id), None)
            self._revoked_at.pop((subject, key_id), None)

    def _owner_of(self, key_id: str) -> AccessState | None:
        found = self._owner.get(key_id)
        return self._states.get(found[1]) if found else None

    def all(self) -> list[AccessState]:
        """Return all identities by subject, each with the roles of its groups at trusted issuers."""
        return [self.with_roles(name) for name, state in sorted(self._states.items()) if not state.issuer]

    def with_roles(self, subject: str) -> AccessState:
        """Return an identity with all its roles: its own, and those of its groups at trusted issuers."""
        state = self.state_of(subject)
        for key in state.sign_ins:
            state = with_roles_of(state, key, self.state_of(subject_of_issuer(key)))
        return state

    def issuer(self, url: str) -> AccessState | None:
        """Return the stream of a trusted issuer, or None."""
        state = self.state_of(self._issuers.get(url, ""))
        return state if state.issuer is not None and state.issuer.trusted else None

    def issuers(self) -> list[AccessState]:
        """Return the streams of all issuers that were ever trusted, by URL."""
        return [self.state_of(subject) for _, subject in sorted(self._issuers.items())]

    def trusting(self, url: str) -> list[AccessState]:
        """Return the publishers that have a trust in this issuer, by subject."""
        found = (self.state_of(subject) for subject in sorted(self._trusting.get(url, ())))
        return [state for state in found if any(one.issuer == url for one in state.trusts.values())]

    def trusted_for_jobs(self) -> list[str]:
        """Return the URLs of the issuers in which a publisher has a trust."""
        return [url for url in sorted(self._trusting) if self.trusting(url)]

    def publishers_with_trusts(self) -> list[AccessState]:
        """Return the publishers that have a trust, by subject."""
        subjects = sorted({subject for of_issuer in self._trusting.values() for subject in of_issuer})
        return [state for subject in subjects if (state := self.state_of(subject)).trusts]

    def linked_with(self, name: str) -> list[str]:
        """Return the identities and logins of the person with this subject or login, without itself."""
        found = {
            one
            for start in (name, subject_of_login(name))
            for one in (*one_person(start, self.state_of), *logins(start, self.state_of))
        }
        return sorted(found - {name})

    def subject_of(self, account: str) -> str:
        """Return the person who signs in with this account, or ""."""
        return self._accounts.get(account, "")

    def present(self, actor: Actor) -> AccessState | None:
        """Return the actor's identity with its present roles, or None when it may not act any more."""
        try:
            state = self.acting(actor)
            check(state, Permission(NO_ROLE), datetime.now(UTC), actor.method)
        except Forbidden:
            return None
        return state

    def state_of(self, subject: str) -> AccessState:
        """Return the identity of a subject, with its keys and roles; the initial state for an unknown one."""
        return self._states.get(subject, ACCESS.initial)

    def by_api_key(self, text: str, now: datetime | None = None) -> Identified | None:
        """Return the caller of a live API key `rg_<key id>_<secret>`, or None.

        The comparison takes constant time, also for an unknown key.
        """
        key_id = text[3:].partition("_")[0] if text.startswith("rg_") else ""
        state = self._owner_of(key_id)
        key = state.keys.get(key_id) if state else None
        given = hmac.digest(self._pepper, text.encode("utf-8", "replace"), "sha256")
        known = bytes.fromhex(key.verifier) if key and key.algorithm == "hmac-sha256" else bytes(32)
        if (
            not hmac.compare_digest(given, known)
            or state is None
            or key is None
            or not key.live(now or datetime.now(UTC))
            or state.disabled
        ):
            return None
        actor = Actor(state.subject, method=method_of(key), on_behalf_of=key.started_by or None)
        return Identified(actor, self.acting(actor))

    def by_former_key(self, text: str) -> Actor | None:
        """Return whose API key this was, when it is revoked or expired, or its owner is disabled."""
        key_id = text[3:].partition("_")[0] if text.startswith("rg_") else ""
        state = self._owner_of(key_id)
        key = state.keys.get(key_id) if state else None
        if state is None or key is None or key.algorithm != "hmac-sha256":
            return None
        given = hmac.digest(self._pepper, text.encode("utf-8", "replace"), "sha256")
        if not hmac.compare_digest(given, bytes.fromhex(key.verifier)):
            return None
        return Actor(state.subject, method=method_of(key))

    def signer(self, key_id: str) -> Signer | None:
        """Return the owner of an Ed25519 key, live or not, or None for an unknown key."""
        state = self._owner_of(key_id)
        key = state.keys.get(key_id) if state else None
        if state is None or key is None or key.algorithm != "ed25519":
            return None
        revoked_at = self._revoked_at.get((state.subject, key_id))
        disabled_at = self._disabled_at.get(state.subject) if state.disabled else None
        ends = [moment for moment in (key.expires_at, revoked_at, disabled_at) if moment is not None]
        return Signer(
            state.subject,
            state.kind,
            bytes.fromhex(key.verifier),
            min(ends, default=None),
            key.compromised,
            key.revoked or state.disabled,
            key.started_by,
        )

    def acting(self, actor: Actor) -> AccessState:
        """Return the actor's identity with the roles that count for what it does now. Raises Forbidden."""
        of_issuer = self.state_of(subject_of_issuer(issuer_in(actor.method)))
        return acting(self.state_of(actor.subject), actor.method, of_issuer)

    def public_keys(self, kind: str) -> list[PublicKeyRecord]:
        """Return the Ed25519 keys that identities of this kind have or had, by subject and time."""
        found = []
        for state in self._states.values():
            for key in state.keys.values() if state.kind == kind else ():
                if key.algorithm == "ed25519" and self._owner[key.key_id][1] == state.subject:
                    of_key = state.subject, key.key_id
                    ends = [t for t in (key.expires_at, self._revoked_at.get(of_key)) if t is not None]
                    found.append(
                        PublicKeyRecord(
                            state.subject,
                            key.key_id,
                            bytes.fromhex(key.verifier),
                            self._issued_at[of_key],
                            min(ends, default=None),
                            key.compromised,
                        )
                    )
        return sorted(found, key=lambda k: (k.subject, k.valid_from, k.key_id))
