"""Decide about identities: who exists, with which keys, and with which roles in which namespace.

One stream per subject.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal, assert_never, get_args

from regista.wire.ed25519 import problem_of_public_key
from regista.wire.names import may_exist
from shared.deciding.access import (
    EVERYWHERE,
    PARTITION,
    AccessEvent,
    AccessState,
    Algorithm,
    IdentityCreated,
    KeyIssued,
    KeyRevoked,
    Kind,
    NameErased,
    NameSet,
    RoleGranted,
    RoleRevoked,
    evolve_access,
)
from shared.deciding.decider import NO_TIME, Decider, Fold, NotFound, RuleBroken, Unprocessable

Role = Literal["publisher", "engineer", "approver", "auditor", "admin", "override"]
ROLES: tuple[str, ...] = get_args(Role)

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:@._-]{0,99}", re.ASCII)
_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_VERIFIER = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CreateIdentity:
    subject: str
    kind: Kind


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

    Only the bootstrap command sets `bootstrap`: its caller has the database password, and only it may give
    services their keys.
    """

    subject: str
    key_id: str
    algorithm: Algorithm
    verifier: str
    expires_at: datetime | None = None
    bootstrap: bool = False
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RevokeKey:
    subject: str
    key_id: str
    reason: str = ""
    compromised: bool = False


@dataclass(frozen=True, slots=True)
class GrantRole:
    """`by` is the actor's subject."""

    subject: str
    role: str
    namespace: str
    by: str


@dataclass(frozen=True, slots=True)
class RevokeRole:
    subject: str
    role: str
    namespace: str


AccessCommand = CreateIdentity | SetName | EraseName | IssueKey | RevokeKey | GrantRole | RevokeRole


def decide(command: AccessCommand, state: AccessState) -> Sequence[AccessEvent]:
    """Return the events that `command` leads to in the stream of one identity."""
    match command:
        case CreateIdentity():
            return _create(command, state)
        case SetName():
            _existing(command.subject, state)
            return [NameSet(command.subject)]
        case EraseName():
            return [] if _existing(command.subject, state).name_erased else [NameErased(command.subject)]
        case IssueKey():
            return _issue(command, _existing(command.subject, state))
        case RevokeKey():
            return _revoke(command, _existing(command.subject, state))
        case GrantRole():
            _check_grant(command)
            if command.subject == command.by:
                raise RuleBroken(
                    "own_role",
                    f"{command.by} cannot grant a role to themselves: ask another admin.",
                    subject=command.subject,
                )
            held = f"{command.role}@{command.namespace}" in _existing(command.subject, state).grants
            return [] if held else [RoleGranted(command.subject, command.role, command.namespace)]
        case RevokeRole():
            held = f"{command.role}@{command.namespace}" in _existing(command.subject, state).grants
            return [RoleRevoked(command.subject, command.role, command.namespace)] if held else []
        case _:
            assert_never(command)


def _existing(subject: str, state: AccessState) -> AccessState:
    if not state.kind:
        raise NotFound(
            "unknown_identity", f"There is no identity {subject}: create it first.", subject=subject
        )
    return state


def _create(command: CreateIdentity, state: AccessState) -> Sequence[AccessEvent]:
    if not _SUBJECT.fullmatch(command.subject):
        raise Unprocessable(
            "invalid_subject",
            f"{command.subject!r:.80} cannot be a subject: use at most 100 letters, digits and ':@._-'.",
        )
    if state.kind == command.kind:
        return []
    if state.kind:
        raise identity_exists(command.subject, f"as a {state.kind}")
    return [IdentityCreated(command.subject, command.kind)]


def identity_exists(subject: str, how: str) -> RuleBroken:
    """Return the refusal for a subject that another identity has."""
    return RuleBroken("identity_exists", f"{subject} exists already, {how}: choose another subject.")


def _issue(command: IssueKey, state: AccessState) -> Sequence[AccessEvent]:
    if not _KEY_ID.fullmatch(command.key_id) or not _VERIFIER.fullmatch(command.verifier):
        raise Unprocessable(
            "invalid_key",
            "A key id is made of letters, digits and '-'; a verifier is 64 lower-case hex digits.",
        )
    problem = problem_of_public_key(bytes.fromhex(command.verifier)) if command.algorithm == "ed25519" else ""
    if problem:
        raise Unprocessable(
            "invalid_key", f"This is no public key of Ed25519: {problem}. Generate another key."
        )
    if (
        state.kind == "service" and not command.bootstrap
    ):  # the holder of a service's key acts in the service's name
        raise RuleBroken(
            "service_key",
            f"{command.subject} is a service: only bootstrap issues keys of services. Add the key to its "
            "file and run it.",
        )
    key = state.keys.get(command.key_id)
    if key is not None:
        if (key.algorithm, key.verifier) == (command.algorithm, command.verifier):
            return []
        raise RuleBroken(
            "key_exists",
            f"{command.subject} has a key {command.key_id} already: choose another key id, because key ids "
            "are never given twice.",
        )
    if command.expires_at is not None and command.expires_at <= command.now:
        raise Unprocessable(
            "key_expired",
            f"A key that expired at {command.expires_at.isoformat()} is of no use: name a later time.",
        )
    return [
        KeyIssued(command.subject, command.key_id, command.algorithm, command.verifier, command.expires_at)
    ]


def _revoke(command: RevokeKey, state: AccessState) -> Sequence[AccessEvent]:
    key = state.keys.get(command.key_id)
    if key is None:
        raise NotFound(
            "unknown_key",
            f"{command.subject} has no key {command.key_id}: see the identity's keys.",
            subject=command.subject,
        )
    if key.compromised or (key.revoked and not command.compromised):
        return []
    return [KeyRevoked(command.subject, command.key_id, command.reason, command.compromised)]


def _check_grant(command: GrantRole) -> None:
    if command.role not in ROLES:
        raise Unprocessable(
            "unknown_role", f"{command.role!r:.40} is no role: use one of {', '.join(ROLES)}."
        )
    if command.namespace != EVERYWHERE and not may_exist(command.namespace):
        raise Unprocessable(
            "invalid_namespace",
            f"{command.namespace!r:.80} is no namespace: use a dotted name, or '{EVERYWHERE}' for "
            "everywhere.",
        )


ACCESS: Decider[AccessCommand, AccessEvent, AccessState] = Decider(
    PARTITION, AccessState(), evolve_access, decide=decide
)
FOLDS: tuple[Fold[Any, Any], ...] = (ACCESS,)
DECIDERS: dict[type, Decider[Any, Any, Any]] = dict.fromkeys(get_args(AccessCommand), ACCESS)
