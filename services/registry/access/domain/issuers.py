"""Decide about trusted issuers, the roles of their groups, and what a sign-in shows."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import assert_never
from urllib.parse import urlsplit

from regista.wire.names import may_exist
from shared.deciding.access import (
    ACCESS,
    EVERYWHERE,
    ROLES,
    AccessEvent,
    AccessState,
    IdentityCreated,
    stream_of,
)
from shared.deciding.decider import Forbidden, NotFound, RuleBroken, Streams, Unprocessable
from shared.deciding.issuers import (
    ALGORITHMS,
    GroupMapped,
    GroupUnmapped,
    Issuer,
    IssuerDistrusted,
    IssuerTrusted,
    SignedIn,
    appointers_of,
    issuer_key,
    mapped_groups,
    mapped_key,
    subject_of_issuer,
)

MOST_MAPPED = 2_000
"""Roles that groups of one issuer may have."""
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_TEXT = re.compile(r"[^\x00-\x1f\x7f]{1,200}")


@dataclass(frozen=True, slots=True)
class TrustIssuer:
    """Trust an issuer, or change the settings of one. The fields are those of IssuerTrusted."""

    subject: str
    issuer: str
    audience: str
    client_id: str
    scopes: tuple[str, ...]
    algorithms: tuple[str, ...]
    groups_claim: str
    by: str


@dataclass(frozen=True, slots=True)
class DistrustIssuer:
    subject: str
    by: str


@dataclass(frozen=True, slots=True)
class MapGroup:
    """Give a role to all who sign in as members of the issuer's group."""

    subject: str
    group: str
    role: str
    namespace: str
    by: str


@dataclass(frozen=True, slots=True)
class UnmapGroup:
    subject: str
    group: str
    role: str
    namespace: str
    by: str


@dataclass(frozen=True, slots=True)
class RecordSignIn:
    """Record what a verified token shows of a person. `groups` are all that the token names.

    `issuer` is the key of the issuer, whose stream the command depends on.
    """

    subject: str
    issuer: str
    account: str
    groups: tuple[str, ...]
    token_at: datetime
    auth_time: datetime | None = None
    acr: str = ""
    amr: tuple[str, ...] = ()


OfIssuer = TrustIssuer | DistrustIssuer | MapGroup | UnmapGroup


def decide_issuer(command: OfIssuer, state: AccessState) -> Sequence[AccessEvent]:
    """Return the events that `command` leads to in the stream of one issuer."""
    match command:
        case TrustIssuer():
            return _trust(command, state)
        case DistrustIssuer():
            trusted = existing_issuer(command.subject, state).trusted
            return [IssuerDistrusted(command.subject, command.by)] if trusted else []
        case MapGroup():
            return _map(command, state)
        case UnmapGroup():
            existing_issuer(command.subject, state)
            if mapped_key(command.group, command.role, command.namespace) not in state.mapped:
                return []
            return [
                GroupUnmapped(command.subject, command.group, command.role, command.namespace, command.by)
            ]
        case _:
            assert_never(command)


def existing_issuer(subject: str, state: AccessState) -> Issuer:
    """Return the issuer. Raise NotFound when none with this subject was ever trusted."""
    if state.issuer is None:
        raise NotFound(
            "unknown_issuer",
            f"There is no issuer {subject}: choose one that was trusted.",
            issuer=subject,
            listed_at="/v1/issuers",
        )
    return state.issuer


def _trust(command: TrustIssuer, state: AccessState) -> Sequence[AccessEvent]:
    check_issuer_url(command.issuer)
    for name in ("audience", "client_id", "groups_claim"):
        if not _TEXT.fullmatch(getattr(command, name)):
            raise Unprocessable(
                "invalid_issuer", f"{name} has 1 to 200 characters and no control character: send another."
            )
    if not command.algorithms or set(command.algorithms) - set(ALGORITHMS):
        raise Unprocessable(
            "invalid_algorithm",
            f"Name the algorithms that the issuer signs with, of these: {', '.join(ALGORITHMS)}.",
        )
    settings = command.audience, command.client_id, command.scopes, command.algorithms, command.groups_claim
    if state.issuer is not None and state.issuer.trusted and settings == _settings(state.issuer):
        return []
    return [IssuerTrusted(command.subject, command.issuer, *settings, command.by)]


def _settings(issuer: Issuer) -> tuple[object, ...]:
    return issuer.audience, issuer.client_id, issuer.scopes, issuer.algorithms, issuer.groups_claim


def check_issuer_url(url: str) -> None:
    """Raise Unprocessable unless the URL can be that of an issuer: https, or http on this machine."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname or "", parts.port
    except ValueError:
        host, parts = "", urlsplit("")
    insecure = parts.scheme == "http" and host in _LOOPBACK
    plain = not (parts.query or parts.fragment or "@" in parts.netloc or "?" in url or "#" in url)
    if not host or len(url) > 500 or not plain or not (parts.scheme == "https" or insecure):
        raise Unprocessable(
            "invalid_issuer",
            "An issuer is a URL without user, query and fragment that begins with https:// (http:// only on "
            "the same machine): send it exactly as its tokens name it in `iss`.",
        )


def _map(command: MapGroup, state: AccessState) -> Sequence[AccessEvent]:
    if not existing_issuer(command.subject, state).trusted:
        raise RuleBroken("issuer_not_trusted", "This issuer is not trusted any more: trust it again first.")
    if not _TEXT.fullmatch(command.group):
        raise Unprocessable(
            "invalid_group", "A group has 1 to 200 characters and no control character: send another."
        )
    if command.role not in ROLES:
        raise Unprocessable(
            "unknown_role", f"{command.role!r:.40} is no role: use one of {', '.join(ROLES)}."
        )
    if command.namespace != EVERYWHERE and not may_exist(command.namespace):
        raise Unprocessable(
            "invalid_namespace",
            f"{command.namespace!r:.80} is no namespace: use a dotted name, or '{EVERYWHERE}' for all.",
        )
    if mapped_key(command.group, command.role, command.namespace) in state.mapped:
        return []
    if len(state.mapped) >= MOST_MAPPED:
        raise RuleBroken(
            "too_many_mapped", f"{MOST_MAPPED} roles of groups of this issuer are mapped: unmap some first."
        )
    return [GroupMapped(command.subject, command.group, command.role, command.namespace, command.by)]


def decide_sign_in(command: RecordSignIn, streams: Streams) -> Mapping[str, Sequence[AccessEvent]]:
    """Return the person, when it is new, and what its token shows, when that differs from the log.

    A token that is older than the one of the last sign-in changes nothing.
    """
    of_issuer = streams.state(ACCESS, stream_of(subject_of_issuer(command.issuer)))
    person = streams.state(ACCESS, stream_of(command.subject))
    if of_issuer.issuer is None or not of_issuer.issuer.trusted:
        raise Forbidden(
            "issuer_not_trusted",
            "The issuer of this token is not trusted any more: ask an admin.",
            issuer=command.issuer,
        )
    if person.disabled:
        raise Forbidden(
            "identity_disabled",
            f"{command.subject} is disabled: an admin must enable it again.",
            subject=command.subject,
        )
    last = person.sign_ins.get(command.issuer)
    if person.kind and (last is None or last.account != command.account):
        raise RuleBroken(
            "identity_exists", f"{command.subject} exists already, for another account: ask an admin."
        )
    if last is not None and command.token_at < last.token_at:
        return {}
    groups = mapped_groups(command.groups, of_issuer.mapped)
    appointed_by = appointers_of(groups, of_issuer.issuer, of_issuer.mapped)
    if last is not None and (last.groups, last.appointed_by) == (groups, appointed_by):
        return {}
    seen = SignedIn(
        command.subject,
        command.issuer,
        command.account,
        tuple(sorted(groups)),
        tuple(sorted(appointed_by)),
        command.token_at,
        command.auth_time,
        command.acr,
        command.amr,
    )
    created = [] if person.kind else [IdentityCreated(command.subject, "person", command.subject)]
    return {stream_of(command.subject): [*created, seen]}


def subject_of_url(url: str) -> str:
    """Return the subject of the issuer with this URL."""
    return subject_of_issuer(issuer_key(url))
