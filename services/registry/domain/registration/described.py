"""What a registration may state about its model: it raises the tier, and never selects weaker gates."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

from regista.wire.policies import Subject
from services.registry.domain.model.events import ModelRegistered, TagsChanged
from services.registry.domain.model.metadata import Kind, Problem, Tier
from services.registry.domain.model.state import ModelState
from services.registry.domain.naming.description import TIERS
from services.registry.domain.naming.selection import (
    DEFAULT_KIND,
    DEFAULT_TIER,
    SELECTION,
    STREAM,
    plainest,
    weakened,
)
from services.registry.domain.registration.commands import Registering, RegisterVersion
from shared.deciding.access import namespace_of
from shared.deciding.decider import Streams


@dataclass(frozen=True, slots=True)
class Described:
    """The model's description after the registration.

    `change`: the event when it changes. `not_taken`: what was stated and does not count, by field.
    """

    model: ModelRegistered
    change: TagsChanged | None = None
    not_taken: tuple[Problem, ...] = ()


def described(command: Registering, state: ModelState, streams: Streams) -> Described:
    """Return the description of the model, with what the registration could not change."""
    if isinstance(command, RegisterVersion) and command.new_model:
        return _new(command)
    kind, tier, tags = cast("Kind", state.kind), cast("Tier", state.tier), dict(state.tags)
    if not isinstance(command, RegisterVersion):
        return Described(ModelRegistered(state.model, kind, state.owner, tier, state.description, tags))
    change, refused = _raised(command, state, streams)
    not_taken = (*refused, *_ignored(command, state))
    tier = change.tier if change else tier
    return Described(
        ModelRegistered(state.model, kind, state.owner, tier, state.description, tags), change, not_taken
    )


def _new(command: RegisterVersion) -> Described:
    tier, not_taken = command.tier or DEFAULT_TIER, tuple[Problem, ...]()
    if TIERS.index(tier) < TIERS.index(DEFAULT_TIER):
        why = f"{tier} was not taken, the tier is {DEFAULT_TIER}: {_LOWER}"
        tier, not_taken = DEFAULT_TIER, (Problem("tier", why),)
    model = ModelRegistered(
        command.model, command.kind or DEFAULT_KIND, command.owner, tier, command.description, command.tags
    )
    return Described(model, None, not_taken)


_LOWER = "a registration may only raise it; an approver lowers it with `regista models edit`"


def _raised(
    command: RegisterVersion, state: ModelState, streams: Streams
) -> tuple[TagsChanged | None, list[Problem]]:
    """Return the event of a raised tier, or why the stated one does not count."""
    ranks: list[Any] = [state.tier, command.tier]
    if command.tier is None or command.tier == state.tier:
        return None, []
    if TIERS.index(ranks[1]) < TIERS.index(ranks[0]):
        why = f"{command.tier} was not taken, the model's tier is {state.tier}: {_LOWER}"
        return None, [Problem("tier", why)]
    namespace, tags = namespace_of(state.model), dict(state.tags)
    now, then = (Subject(namespace, state.kind, tier, tags) for tier in ranks)
    if reasons := weakened(now, then, streams.state(SELECTION, STREAM)):
        why = f"{command.tier} was not taken, because it selects weaker gates: {'; '.join(reasons)}"
        return None, [Problem("tier", why)]
    return TagsChanged(state.model, tags, command.tier, state.description, state.selected_by), []


def _ignored(command: RegisterVersion, state: ModelState) -> list[Problem]:
    """Return what the registration states about the model and the model does not have."""
    stated = {"owner": command.owner, "description": command.description, "tags": command.tags}
    has = {"owner": state.owner, "description": state.description, "tags": dict(state.tags)}
    advice = "change it with `regista models edit`"
    return [
        Problem(name, f"was not taken, because the model exists and has another one: {advice}")
        for name, value in stated.items()
        if name in command.stated and value != has[name]
    ]


def not_taken_of_existing(command: RegisterVersion, state: ModelState) -> list[Problem]:
    """Return what a repeated registration states about the model. It changes nothing."""
    advice = "change it with `regista models edit`"
    differs = command.tier not in {None, state.tier}
    tier = [Problem("tier", f"was not taken, because the version exists: {advice}")] if differs else []
    return [*tier, *_ignored(command, state)]


def selection_problems(command: Registering, streams: Streams) -> list[Problem]:
    """Return why a new model's kind, tier or tags are not for a publisher to choose."""
    if not isinstance(command, RegisterVersion) or not command.new_model:
        return []
    model, policies = _new(command).model, streams.state(SELECTION, STREAM)
    namespace = namespace_of(command.model)
    for name, chosen in (
        ("kind", Subject(namespace, model.kind, DEFAULT_TIER)),
        ("tier", Subject(namespace, model.kind, model.tier)),
        ("tags", Subject(namespace, model.kind, model.tier, model.tags)),
    ):
        if reasons := weakened(plainest(namespace), chosen, policies):
            return [
                Problem(
                    name,
                    f"selects weaker gates ({'; '.join(reasons)}): have an approver create the model first, "
                    "with `regista models create`",
                )
            ]
    return []
