"""Decide whether an identity exists, and whether it may act."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from services.registry.access.domain.commands import CreateIdentity, DisableIdentity, EnableIdentity
from shared.deciding.access import (
    ACCESS,
    AccessEvent,
    AccessState,
    IdentityCreated,
    IdentityDisabled,
    IdentityEnabled,
    stream_of,
)
from shared.deciding.decider import NotFound, RuleBroken, Streams, Unprocessable
from shared.deciding.issuers import PREFIX
from shared.deciding.links import LOGIN, subject_of_login

_SUBJECT = re.compile(r"[A-Za-z0-9][A-Za-z0-9:@._-]{0,99}", re.ASCII)
_ADDRESS = re.compile(r".*[^:@]@[^:@.]+(\.[^:@.]+)+", re.ASCII)
"""An e-mail address, also behind a prefix such as `person:`."""


def existing(subject: str, state: AccessState) -> AccessState:
    """Return the state. Raise NotFound when there is no such identity."""
    if not state.kind:
        raise NotFound(
            "unknown_identity",
            f"There is no identity {subject}: check the name, or create it.",
            subject=subject,
        )
    return state


def decide_creation(command: CreateIdentity, streams: Streams) -> Mapping[str, Sequence[AccessEvent]]:
    """Return the creation, in the stream of the identity. It reads that of the login of the same name."""
    stream, of_login = stream_of(command.subject), streams_read(command)[0]
    events = create(command, streams.state(ACCESS, stream))
    if events and (using := streams.state(ACCESS, of_login).links.identities):
        raise RuleBroken(
            "subject_is_login",
            f"{command.subject} is a login of {', '.join(sorted(using))}, so jobs would name both by it: "
            "choose another subject, or remove that link.",
        )
    return {stream: events}


def streams_read(command: CreateIdentity) -> tuple[str]:
    """Return the stream that a creation depends on: that of the login of the same name."""
    return (stream_of(subject_of_login(command.subject)),)


def create(command: CreateIdentity, state: AccessState) -> Sequence[AccessEvent]:
    if not _SUBJECT.fullmatch(command.subject):
        raise Unprocessable(
            "invalid_subject",
            f"{command.subject!r:.80} cannot be a subject: use at most 100 letters, digits and ':@._-'.",
        )
    for prefix, those in ((PREFIX, "trusted issuers"), (LOGIN, "logins")):
        if command.subject.startswith(prefix):
            raise Unprocessable(
                "invalid_subject",
                f"Subjects that begin with {prefix!r} are those of {those}: choose another.",
            )
    if state.kind == command.kind:
        return []
    if state.kind:
        raise identity_exists(command.subject, f"as a {state.kind}")
    if _ADDRESS.fullmatch(command.subject):
        raise Unprocessable(
            "address_as_subject",
            "The log stores subjects permanently, and this one looks like an e-mail address: leave the "
            "subject out, and give the person's name apart, where it can be erased.",
        )
    return [IdentityCreated(command.subject, command.kind, command.by)]


def identity_exists(subject: str, how: str) -> RuleBroken:
    """Return the refusal for a subject that another identity has."""
    return RuleBroken("identity_exists", f"{subject} exists already, {how}: choose another subject.")


def disable(command: DisableIdentity, state: AccessState) -> Sequence[AccessEvent]:
    """Disable a person or publisher.

    An identity cannot disable itself. So the admin who disables another stays, and one admin is always left.
    """
    if state.kind == "service":
        raise RuleBroken(
            "service_identity",
            f"{command.subject} is a service, and its events count by the time of its key: revoke the key.",
        )
    if state.kind == "group":
        raise RuleBroken(
            "group_identity", f"{command.subject} is a group: revoke its roles, or remove its members."
        )
    if command.subject == command.by:
        raise RuleBroken("own_identity", f"{command.by} cannot disable themselves: ask another admin.")
    return [] if state.disabled else [IdentityDisabled(command.subject)]


def enable(command: EnableIdentity, state: AccessState) -> Sequence[AccessEvent]:
    return [IdentityEnabled(command.subject)] if state.disabled else []
