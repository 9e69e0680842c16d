"""Aliases: names that move from version to version."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import AliasRemoved, AliasSet
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import (
    LATEST,
    Events,
    ModelState,
    environments_of,
    require_model,
    require_usable,
    stream_of,
)
from services.registry.domain.serving.environment import ENVIRONMENT, ENVIRONMENTS
from shared.deciding.access import namespace_of
from shared.deciding.decider import Forbidden, Joint, NotFound, RuleBroken, Stale, Streams, Unprocessable

_ALIAS = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,59}", re.ASCII)


@dataclass(frozen=True, slots=True)
class SetAlias:
    """`protected` None leaves the protection as it is. It reads ENVIRONMENTS.

    `as_admin`: the caller has that role; the command's permission checks it. `own_only`: `by`, the actor, may
    do this only with versions that they published: with the one that gets the alias, and with the one that
    has it.
    """

    model_id: str
    alias: str
    number: int
    protected: bool | None = None
    as_admin: bool = False
    expected: int | None = None
    by: str = ""
    own_only: bool = False


@dataclass(frozen=True, slots=True)
class RemoveAlias:
    """`as_admin` and `own_only` are as in SetAlias."""

    model_id: str
    alias: str
    as_admin: bool = False
    expected: int | None = None
    by: str = ""
    own_only: bool = False


def set_alias(command: SetAlias, streams: Streams) -> Events:
    """Let the alias name that version from now on."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    _check_free(command.alias, state, streams)
    version = require_usable(state, command.number)
    before = state.aliases.get(command.alias)
    _check_own(command, state, streams)
    protected = (
        command.protected if command.protected is not None else before is not None and before.protected
    )
    _check_may(command, state, wants_protection=protected)
    if before is not None and (before.number, before.protected) == (command.number, protected):
        return {}
    previous = before.number if before else None
    return {
        stream_of(command.model_id): [
            AliasSet(state.model, command.alias, command.number, version.semver, protected, previous)
        ]
    }


def remove_alias(command: RemoveAlias, streams: Streams) -> Events:
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    before = state.aliases.get(command.alias)
    if before is None:
        raise NotFound(
            "unknown_alias", f"{state.model} has no alias {command.alias}: see its list of aliases."
        )
    _check_own(command, state, streams)
    _check_may(command, state, wants_protection=False)
    return {stream_of(command.model_id): [AliasRemoved(state.model, command.alias, before.number)]}


def _check_free(alias: str, state: ModelState, streams: Streams) -> None:
    if not _ALIAS.fullmatch(alias):
        raise Unprocessable(
            "invalid_alias",
            f"{alias!r:.80} cannot be an alias: use a letter, then letters, digits, '_' and '-', at most 60 "
            "in all.",
        )
    if alias.lower() == LATEST:
        raise Unprocessable(
            "reserved_alias",
            f"{state.model}@{LATEST} is the newest version that may be used, and no alias: choose another.",
        )
    declared = streams.state(ENVIRONMENT, ENVIRONMENTS).of(namespace_of(state.model))
    if alias in {*declared, *environments_of(state)}:
        raise RuleBroken(
            "alias_is_environment",
            f"{alias} is an environment: {state.model}@{alias} names its champion. Choose another alias.",
        )


def _concerned(command: SetAlias | RemoveAlias, state: ModelState) -> list[int]:
    """Return the numbers of the versions that get the alias and that have it."""
    before = state.aliases.get(command.alias)
    wanted = [command.number] if isinstance(command, SetAlias) else []
    return [*wanted, *([before.number] if before else [])]


def _check_own(command: SetAlias | RemoveAlias, state: ModelState, streams: Streams) -> None:
    if command.own_only:
        for number in _concerned(command, state):
            past.check_own(command.by, command.model_id, state, number, streams)


def _documents(command: SetAlias | RemoveAlias, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    numbers = _concerned(command, state) if command.own_only else []
    return past.documents_of(command.model_id, state, numbers)


def _check_may(command: SetAlias | RemoveAlias, state: ModelState, *, wants_protection: bool) -> None:
    before = state.aliases.get(command.alias)
    if command.expected is not None and command.expected != (before.revision if before else 0):
        raise Stale(
            "stale_alias", "The alias has moved since you read it: read it again, then repeat the request."
        )
    if not command.as_admin and (wants_protection or (before is not None and before.protected)):
        raise Forbidden(
            "alias_protected",
            f"The alias {command.alias} is protected: ask an admin to move, protect or remove it.",
        )


DECIDERS: Mapping[type, Joint[Any]] = {
    SetAlias: Joint(set_alias, _documents),
    RemoveAlias: Joint(remove_alias, _documents),
}
