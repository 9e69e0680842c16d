"""Name, owner, tags, risk tier and description of a model; and models without versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from regista.wire.policies import Subject
from services.registry.domain.model.events import ModelRegistered, ModelRenamed, OwnerChanged, TagsChanged
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import Kind, Tier
from services.registry.domain.model.state import Events, ModelState, require_model, stream_of
from services.registry.domain.naming.name import NAME, NameClaimed, check_name
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.naming.selection import (
    DEFAULT_KIND,
    DEFAULT_TIER,
    SELECTION,
    plainest,
    weakened,
)
from services.registry.domain.naming.selection import STREAM as POLICIES
from services.registry.domain.naming.tags import check_tags
from shared.deciding.access import namespace_of
from shared.deciding.decider import Forbidden, Joint, RuleBroken, Stale, Streams
from shared.deciding.person import Person

TIERS: tuple[Tier, ...] = get_args(Tier)
"""From the weakest gates to the strongest."""


@dataclass(frozen=True, slots=True)
class RegisterModel:
    """Register a model without versions.

    `model_id` is made from the cause; `model` is the name that it claims. `may_approve`: the actor, whose
    subject is `by`, is a person with the role approver there.
    """

    model_id: str
    model: str
    kind: Kind = DEFAULT_KIND
    owner: str = ""
    tier: Tier = DEFAULT_TIER
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    by: str = ""
    may_approve: bool = False


@dataclass(frozen=True, slots=True)
class DescribeModel:
    """Change what is given. None leaves a field as it is.

    `tags` replaces all tags; `tag_changes` adds tags or gives them values, and removes those of None. A new
    `model` name is claimed in the same step; the old one stays a redirect. `may_approve`: the actor is a
    person with the role approver there; `by` is the actor's subject, `person` all by which the actor is
    recognised.
    """

    model_id: str
    model: str | None = None
    owner: str | None = None
    description: str | None = None
    tags: dict[str, str] | None = None
    tag_changes: dict[str, str | None] = field(default_factory=dict)
    tier: Tier | None = None
    by: str = ""
    person: Person | None = None
    may_approve: bool = False
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
    namespace = namespace_of(command.model)
    chosen = Subject(namespace, command.kind, command.tier, command.tags)
    reasons = lowered(plainest(namespace), chosen, streams)
    if reasons and not command.may_approve:
        raise _governed(reasons)
    check_tags(command.tags, "A model")
    registered = ModelRegistered(
        command.model,
        command.kind,
        command.owner,
        command.tier,
        command.description,
        command.tags,
        command.by if reasons else "",
    )
    return {
        name_stream(command.model): [NameClaimed(command.model, command.model_id)],
        stream_of(command.model_id): [registered],
    }


def lowered(before: Subject, after: Subject, streams: Streams) -> list[str]:
    """Return how the description gets weaker: a lower tier, or weaker policies that it selects."""
    ranks: list[Any] = [before.tier, after.tier]
    falls = TIERS.index(ranks[1]) < TIERS.index(ranks[0])
    tier = [f"the tier falls from {before.tier} to {after.tier}"] if falls else []
    return [*tier, *weakened(before, after, streams.state(SELECTION, POLICIES))]


def _governed(reasons: list[str]) -> Forbidden:
    return Forbidden(
        "weaker_policy",
        f"This description selects weaker gates: {'; '.join(reasons)}. Ask a person with the role approver, "
        "who made no version of the model and requested no promotion of it, to choose it.",
        reasons=reasons,
    )


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
    described = _described(command, state, model, streams)
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


def _described(command: DescribeModel, state: ModelState, model: str, streams: Streams) -> TagsChanged | None:
    tags = _tags(command, state)
    tier: Any = command.tier or state.tier
    description = state.description if command.description is None else command.description
    selected_by = _selected_by(command, state, tags, tier, streams)
    same = (tags, tier, description) == (dict(state.tags), state.tier, state.description)
    if same and selected_by == state.selected_by:
        return None
    tags_only = (tier, description) == (state.tier, state.description) and tags != dict(state.tags)
    return TagsChanged(model, tags, tier, description, selected_by, tags_only)


def _tags(command: DescribeModel, state: ModelState) -> dict[str, str]:
    """Return all tags after the command. Raise RuleBroken when there are more than a model may have."""
    before = dict(state.tags) if command.tags is None else command.tags
    after = {name: value for name, value in (before | command.tag_changes).items() if value is not None}
    check_tags(after, "A model", len(before))
    return after


def _selected_by(
    command: DescribeModel, state: ModelState, tags: dict[str, str], tier: str, streams: Streams
) -> str:
    """Return who answers for a description that selects weaker policies, "" when it selects none.

    Raise Forbidden for an actor who may not approve, RuleBroken for one who made or requested a version.
    """
    if command.tags is None and not command.tag_changes and command.tier is None:
        return state.selected_by
    namespace = namespace_of(state.model)
    after = Subject(namespace, state.kind, tier, tags)
    reasons = lowered(Subject(namespace, state.kind, state.tier, dict(state.tags)), after, streams)
    if reasons and not command.may_approve:
        raise _governed(reasons)
    if reasons:
        _check_no_maker(command, state)
        return command.by
    if not lowered(plainest(namespace), after, streams):
        return ""
    confirms = state.selected_by and command.may_approve and not _is_maker(command, state)
    return command.by if confirms else state.selected_by


def _check_no_maker(command: DescribeModel, state: ModelState) -> None:
    if _is_maker(command, state):
        raise RuleBroken(
            "own_work",
            f"{command.by} made a version of {state.model} or requested its promotion, so weaker gates are "
            "for another person to choose: ask an approver who did neither.",
        )


def _is_maker(command: DescribeModel, state: ModelState) -> bool:
    actors = (Person(command.by), command.person)
    return any(actor is not None and actor.is_among(state.makers) for actor in actors)


DECIDERS: Mapping[type, Joint[Any]] = {RegisterModel: Joint(register), DescribeModel: Joint(describe)}
