"""Reversal: an archived version is reopened, and a mistaken withdrawal is undone."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import VersionReinstated, VersionReopened
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import (
    Events,
    ModelState,
    require_usable,
    require_version,
    stream_of,
)
from shared.deciding.decider import Forbidden, Joint, RuleBroken, Streams


@dataclass(frozen=True, slots=True)
class ReopenVersion:
    model_id: str
    number: int
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class ReinstateVersion:
    """`by` is the subject who reverses the withdrawal, `others` those of their other identities."""

    model_id: str
    number: int
    by: str
    expected: int | None = None
    others: frozenset[str] = frozenset()


def reopen(command: ReopenVersion, streams: Streams) -> Events:
    """Move an archived version back to Staging, so that its gates are assessed again; nothing elsewhere."""
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_usable(state, command.number, command.expected)
    if version.stage != "Archived":
        return {}
    return {stream_of(command.model_id): [VersionReopened(state.model, command.number, version.semver)]}


def reinstate(command: ReinstateVersion, streams: Streams) -> Events:
    """Undo a withdrawal; nothing when the version is not withdrawn.

    Who withdrew it, or proposed that, cannot undo it.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if version.retired:
        raise RuleBroken(
            "version_retired",
            f"{state.model} version {command.number} is retired: register it again.",
            number=command.number,
        )
    if not version.recalled:
        return {}
    recalled_by = state.recalls.get(command.number, "")
    _check_second_person(command, state, {recalled_by, state.recall_proposals.get(command.number, "")})
    digest = past.artifact_digest(past.document(command.model_id, state, command.number, streams))
    reinstated = VersionReinstated(
        state.model, command.number, version.semver, version.stage, digest, recalled_by
    )
    return {stream_of(command.model_id): [reinstated]}


def _check_second_person(command: ReinstateVersion, state: ModelState, parties: set[str]) -> None:
    """Raise Forbidden for who withdrew the version, or proposed that, under whatever identity."""
    version = f"{state.model} version {command.number}"
    if command.by in parties:
        raise Forbidden(
            "own_withdrawal",
            f"You withdrew {version}: ask a second person to reinstate it.",
            number=command.number,
        )
    if same := command.others & parties:
        raise Forbidden(
            "own_withdrawal",
            f"You count as one person with {min(same)}, who withdrew {version}: you have a name in common, "
            "or one of you issued a key of the other. Ask another person to reinstate it.",
            number=command.number,
        )


def _document(command: ReinstateVersion, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    return past.documents_of(command.model_id, state, [command.number])


DECIDERS: Mapping[type, Joint[Any]] = {
    ReopenVersion: Joint(reopen),
    ReinstateVersion: Joint(reinstate, _document),
}
