"""The commands about identities."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from shared.deciding.access import Algorithm, Kind
from shared.deciding.decider import NO_TIME


@dataclass(frozen=True, slots=True)
class CreateIdentity:
    subject: str
    kind: Kind
    by: str = ""


@dataclass(frozen=True, slots=True)
class DisableIdentity:
    """`by` is the actor's subject, as in every command of this module."""

    subject: str
    by: str


@dataclass(frozen=True, slots=True)
class EnableIdentity:
    subject: str


@dataclass(frozen=True, slots=True)
class SetName:
    """The directory gets another name. The command does not contain the name."""

    subject: str


@dataclass(frozen=True, slots=True)
class EraseName:
    """The directory erases the name. It is allowed for every subject."""

    subject: str


@dataclass(frozen=True, slots=True)
class IssueKey:
    """`verifier` is as in KeyIssued. The command does not contain the secret.

    `valid_days` limits a key without `expires_at`, and one that its own subject issues; 0 is no limit.
    `issuer` is the issuer of the token with which the subject issues itself a key that has the roles of its
    groups there; "" for own roles only.

    Only the bootstrap command sets `bootstrap`: its caller has the database password, and only it may give
    services their keys.
    """

    subject: str
    key_id: str
    algorithm: Algorithm
    verifier: str
    expires_at: datetime | None = None
    bootstrap: bool = False
    by: str = ""
    valid_days: int = 0
    issuer: str = ""
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RevokeKey:
    subject: str
    key_id: str
    reason: str = ""
    compromised: bool = False
    by: str = ""
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class GrantRole:
    """Grant a role to an identity, or to a group and its `members`.

    `bootstrap`: a role that was revoked stays revoked.
    """

    subject: str
    role: str
    namespace: str
    by: str
    bootstrap: bool = False
    members: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class RevokeRole:
    subject: str
    role: str
    namespace: str
    by: str
    members: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class AddMember:
    """Add a member to the group `subject`: it gets every role of the group."""

    subject: str
    member: str
    by: str


@dataclass(frozen=True, slots=True)
class RemoveMember:
    subject: str
    member: str
    by: str


OwnStream = DisableIdentity | EnableIdentity | SetName | EraseName | IssueKey | RevokeKey
"""Commands that write and read the stream of one identity."""
WithMembers = GrantRole | RevokeRole | AddMember | RemoveMember
"""Commands that may write the streams of a group and of its members."""
AccessCommand = CreateIdentity | OwnStream | WithMembers
