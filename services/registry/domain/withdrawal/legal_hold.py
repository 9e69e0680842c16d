"""Legal hold: while it is placed, a version is neither rejected nor retired."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model.events import LegalHoldPlaced, LegalHoldReleased
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import Events, require_version, stream_of
from shared.deciding.decider import Joint, RuleBroken, Streams


@dataclass(frozen=True, slots=True)
class PlaceLegalHold:
    model_id: str
    number: int
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class ReleaseLegalHold:
    model_id: str
    number: int
    expected: int | None = None


def place_hold(command: PlaceLegalHold, streams: Streams) -> Events:
    """Place the hold; nothing when it is placed already."""
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if version.retired:
        raise RuleBroken(
            "version_retired",
            f"{state.model} version {command.number} is retired: there is nothing left to hold.",
        )
    if version.held:
        return {}
    return {stream_of(command.model_id): [LegalHoldPlaced(state.model, command.number, version.semver)]}


def release_hold(command: ReleaseLegalHold, streams: Streams) -> Events:
    """Release the hold; nothing when there is none."""
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if not version.held:
        return {}
    return {stream_of(command.model_id): [LegalHoldReleased(state.model, command.number, version.semver)]}


DECIDERS: Mapping[type, Joint[Any]] = {
    PlaceLegalHold: Joint(place_hold),
    ReleaseLegalHold: Joint(release_hold),
}
