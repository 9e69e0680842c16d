"""Name, owner, tags, risk tier and description of a model; and models without versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from services.registry.domain.model.events import ModelRegistered, ModelRenamed, OwnerChanged, TagsChanged
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import Kind, Tier
from services.registry.domain.model.state import Events, ModelState, require_model, stream_of
from services.registry.domain.naming.name import NAME, NameClaimed, check_name
from services.registry.domain.naming.name import stream_of as name_stream
from shared.deciding.access import namespace_of
from shared.deciding.decider import Forbidden, Joint, RuleBroken, Stale, Streams

TIERS: tuple[Tier, ...] = get_args(Tier)
"""From the weakest gates to the strongest."""


@dataclass(frozen=True, slots=True)
class RegisterModel:
    """Register a model without versions.

    `model_id` is made from the cause; `model` is the name that it claims.
    """

    model_id: str
    model: str
    kind: Kind = "model"
    owner: str = ""
    tier: Tier = "low"
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class DescribeModel:
    """Change what is given. None leaves a field as it is.

    A new `model` name is claimed in the same step; the old one stays a redirect.
    """

    model_id: str
    model: str | None = None
    owner: str | None = None
    description: str | None = None
    tags: dict[str, str] | None = None
    tier: Tier | None = None
    as_admin: bool = False
    expected: int | None = None


def register(command: RegisterModel, streams: Streams) -> Events:
    """Register the model and claim its name."""
    check_name(command.model)
    name = streams.state(NAME, name_stream(command.model))
    if name.model_id:
        raise RuleBroken(
            "name_taken",
            f"The name {command.model} is taken (names are never given twice): choose another.",
            model_id=name.model_id,
        )
    return {
        name_stream(command.model): [NameClaimed(command.model, command.model_id)],
        stream_of(command.model_id): [
            ModelRegistered(
                command.model, command.kind, command.owner, command.tier, command.description, command.tags
            ),
        ],
    }


def describe(command: DescribeModel, streams: Streams) -> Events:
    """Return one event for each kind of change: name, owner, and the other fields together."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    if command.expected not in {None, state.described}:
        raise Stale(
            "stale_model",
            "The model has changed since you read it: read it again, then repeat the request.",
            revision=state.described,
        )
    events: Events = {}
    changed: list[Any] = []
    model = state.model
    if command.model is not None and command.model != state.model:
        model = command.model
        changed.append(ModelRenamed(model, state.model))
        if _claim(command.model, command.model_id, state, streams):
            events[name_stream(model)] = [NameClaimed(model, command.model_id)]
    if command.owner is not None and command.owner != state.owner:
        changed.append(OwnerChanged(model, command.owner, state.owner))
    described = _described(command, state, model)
    if described is not None:
        changed.append(described)
    return {**events, stream_of(command.model_id): changed} if changed else {}


def _claim(name: str, model_id: str, state: ModelState, streams: Streams) -> bool:
    """Return whether the name must be claimed. A model may take one of its old names again."""
    if namespace_of(name) != namespace_of(state.model):
        raise RuleBroken(
            "namespace_changes",
            "A model stays in its namespace, because roles are granted there: choose a name within the "
            "namespace, or register a new model.",
        )
    claimed = streams.state(NAME, name_stream(name))
    if claimed.model_id not in {"", model_id}:
        raise RuleBroken(
            "name_taken",
            f"The name {name} is taken (names are never given twice): choose another.",
            model_id=claimed.model_id,
        )
    if not claimed.model_id:
        check_name(name, renamed=True)
    return not claimed.model_id


def _described(command: DescribeModel, state: ModelState, model: str) -> TagsChanged | None:
    tags = dict(state.tags) if command.tags is None else command.tags
    tier: Any = command.tier or state.tier
    description = state.description if command.description is None else command.description
    if TIERS.index(tier) < TIERS.index(state.tier) and not command.as_admin:
        raise Forbidden("tier_lowered", "A lower risk tier has weaker gates: ask an admin to lower it.")
    if (tags, tier, description) == (dict(state.tags), state.tier, state.description):
        return None
    return TagsChanged(model, tags, tier, description)


DECIDERS: Mapping[type, Joint[Any]] = {RegisterModel: Joint(register), DescribeModel: Joint(describe)}
