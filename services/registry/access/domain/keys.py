"""Decide about the keys of one identity."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta

from regista.wire.ed25519 import problem_of_public_key
from services.registry.access.domain.commands import IssueKey, RevokeKey
from shared.deciding.access import EVERYWHERE, AccessEvent, AccessState, KeyIssued, KeyRevoked
from shared.deciding.decider import NotFound, RuleBroken, Unprocessable

MOST_OWN_KEYS = 2
"""Live keys of one algorithm with which an identity may still issue itself another: the old and the new one.

A stolen key must not leave a crowd of keys behind."""
LONGEST_WITH_GROUPS = timedelta(hours=24)
"""Maximum time that a key with the roles of groups is valid: as long as a token may be.

Who left a group is seen at the next sign-in only."""

_KEY_ID = re.compile(r"[A-Za-z0-9-]{1,64}", re.ASCII)
_VERIFIER = re.compile(r"[0-9a-f]{64}", re.ASCII)


def issue(command: IssueKey, state: AccessState) -> Sequence[AccessEvent]:
    _check_form(command)
    _check_owner(command, state)
    key = state.keys.get(command.key_id)
    if key is not None:
        if (key.algorithm, key.verifier) == (command.algorithm, command.verifier):
            return []
        raise RuleBroken(
            "key_exists",
            f"{command.subject} has a key {command.key_id} already: choose another key id, because key ids "
            "are never given twice.",
        )
    if command.by == command.subject:
        _check_rotation(command, state)
    issuer = _issuer(command, state)
    expires_at = _expiry(command, with_groups=bool(issuer))
    made = command.subject, command.key_id, command.algorithm, command.verifier
    return [KeyIssued(*made, expires_at, command.by, issuer=issuer)]


def _issuer(command: IssueKey, state: AccessState) -> str:
    """Return the issuer whose groups the key has: of a key that its own subject issues and alone has seen."""
    last = state.sign_ins.get(command.issuer)
    own = command.by == command.subject and command.algorithm == "hmac-sha256"
    return command.issuer if own and last is not None and last.groups else ""


def _check_form(command: IssueKey) -> None:
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


def _check_owner(command: IssueKey, state: AccessState) -> None:
    """Refuse keys of groups, and of services: the holder of a service's key acts in the service's name."""
    if state.kind == "group":
        raise RuleBroken(
            "group_key", f"{command.subject} is a group, and a group has no key: issue keys to its members."
        )
    if state.kind == "service" and not command.bootstrap:
        raise RuleBroken(
            "service_key",
            f"{command.subject} is a service: only bootstrap issues keys of services. Add the key to its "
            "file and run it.",
        )


def _check_rotation(command: IssueKey, state: AccessState) -> None:
    live = [k for k in state.keys.values() if k.algorithm == command.algorithm and k.live(command.now)]
    if len(live) >= MOST_OWN_KEYS:
        raise RuleBroken(
            "too_many_own_keys",
            f"{command.subject} has {len(live)} live keys ({', '.join(k.key_id for k in live)}): revoke one "
            "of them, or ask an admin for a further one.",
        )


def _expiry(command: IssueKey, *, with_groups: bool) -> datetime | None:
    limit = command.now + timedelta(days=command.valid_days) if command.valid_days else None
    if with_groups:
        limit = command.now + LONGEST_WITH_GROUPS
    if command.expires_at is None:
        return limit
    if command.expires_at <= command.now:
        raise Unprocessable(
            "key_expired",
            f"A key that expired at {command.expires_at.isoformat()} is of no use: name a later time.",
        )
    if with_groups and limit is not None and command.expires_at > limit:
        raise Unprocessable(
            "key_too_long",
            f"A key with the roles of your groups is valid until {limit.isoformat()} at most: name an "
            "earlier time, or issue a key without them (without_groups), which has only the roles granted to "
            "you.",
        )
    if command.by == command.subject and limit is not None and command.expires_at > limit:
        raise Unprocessable(
            "key_too_long",
            f"A key that an identity issues itself is valid until {limit.isoformat()} at most: name an "
            "earlier time, leave it out, or ask an admin.",
        )
    return command.expires_at


def revoke(command: RevokeKey, state: AccessState) -> Sequence[AccessEvent]:
    key = state.keys.get(command.key_id)
    if key is None:
        raise NotFound(
            "unknown_key",
            f"{command.subject} has no key {command.key_id}: see the identity's keys.",
            subject=command.subject,
        )
    if key.compromised or (key.revoked and not command.compromised):
        return []
    if command.by == command.subject and not key.revoked:
        _check_admin_keeps_a_key(command, state)
    return [KeyRevoked(command.subject, command.key_id, command.reason, command.compromised)]


def _check_admin_keeps_a_key(command: RevokeKey, state: AccessState) -> None:
    """Refuse to leave an admin of everything without an API key, who may be the last one."""
    is_admin = any(g.role == "admin" and g.namespace == EVERYWHERE for g in state.grants.values())
    others = (k for k in state.keys.values() if k.key_id != command.key_id and k.algorithm == "hmac-sha256")
    if is_admin and not any(k.live(command.now) for k in others):
        raise RuleBroken(
            "last_key",
            f"{command.key_id} is the last API key of {command.subject}, who is admin everywhere: issue "
            "another key first, or ask another admin.",
        )
