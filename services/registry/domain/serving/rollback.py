"""Rollback: all requests go back to a version that served before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import Entry, RolledBack, Skipped
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import (
    Events,
    ModelState,
    predecessors,
    require_model,
    require_usable,
    serving_key,
    stream_of,
    unusable_because,
)
from services.registry.domain.serving.rollout import archived_by, require_rollout
from services.registry.domain.versioning.bump import most_important
from services.registry.domain.versioning.signature import incompatibilities
from shared.deciding.decider import Joint, NotFound, RuleBroken, Streams


@dataclass(frozen=True, slots=True)
class RollBack:
    """Roll back to what served before, or to `to_number`, which must have served there.

    `even_if_incompatible` accepts a target whose signature breaks today's callers. `expected` is the revision
    of the rollout that the caller saw.
    """

    model_id: str
    environment: str
    to_number: int | None = None
    even_if_incompatible: bool = False
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rollback goes. `skipped` gives the nearer versions that it does not go to, and why."""

    number: int
    skipped: tuple[Skipped, ...] = ()


def rollback_target(
    model_id: str, environment: str, number: int, state: ModelState, streams: Streams
) -> Target:
    """Return the nearest predecessor of `number` that is fit to serve its callers; number 0 for none."""
    skipped: list[Skipped] = []
    used = past.document(model_id, state, number, streams).signature
    for before in predecessors(state, environment, number):
        why = _unfit_because(environment, before, state)
        if not why and incompatibilities(used, past.document(model_id, state, before, streams).signature):
            why = "its signature does not serve today's callers"
        if not why:
            return Target(before, tuple(skipped))
        skipped.append(Skipped(before, why))
    return Target(0, tuple(skipped))


def fallback_target(environment: str, number: int, state: ModelState) -> int:
    """Return the nearest predecessor that only its signature or its bytes keep from being the target, or 0.

    A caller can overrule the signature, and the bytes can become good again.
    """
    return next(
        (n for n in predecessors(state, environment, number) if not _excluded_because(environment, n, state)),
        0,
    )


def _excluded_because(environment: str, number: int, state: ModelState) -> str:
    if why := unusable_because(state.versions[number]):
        return why
    return "was itself rolled back from" if serving_key(environment, number) in state.rolled_back else ""


def _unfit_because(environment: str, number: int, state: ModelState) -> str:
    return _excluded_because(environment, number, state) or (
        "" if state.versions[number].released else "its artifact is not noted as good"
    )


def roll_back(command: RollBack, streams: Streams) -> Events:
    """Send all requests to the target in one step, and archive what no longer serves."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    left = past.champion_number(state, command.environment)
    if not left:
        raise NotFound(
            "no_rollout",
            f"Nothing of {state.model} serves in {command.environment}: there is nothing to roll back.",
        )
    previous = require_rollout(state, command.environment, command.expected).entries
    if command.to_number == left:
        raise RuleBroken(
            "already_serving",
            f"Version {left} is the champion of {command.environment} already: name another version.",
            number=left,
        )
    target = (
        Target(_named(command, command.to_number, state))
        if command.to_number
        else _found(command, left, state, streams)
    )
    overruled = _overruled(command, left, target.number, state, streams)
    entries = (Entry(target.number, state.versions[target.number].semver, 100, "champion"),)
    rolled_back = RolledBack(
        model=state.model,
        environment=command.environment,
        entries=entries,
        previous=previous,
        champion=past.champion(command.model_id, state, target.number, streams),
        from_number=left,
        to_number=target.number,
        overruled=overruled,
        skipped=target.skipped,
    )
    return {stream_of(command.model_id): [rolled_back, *archived_by(state, rolled_back)]}


def _overruled(
    command: RollBack, left: int, target: int, state: ModelState, streams: Streams
) -> tuple[Any, ...]:
    """Return how the target's signature breaks callers. Raise RuleBroken unless the caller accepts that."""
    used, offered = (past.document(command.model_id, state, n, streams).signature for n in (left, target))
    breaking = incompatibilities(used, offered)
    if breaking and not command.even_if_incompatible:
        named = ", ".join(c.path for c in breaking)
        raise RuleBroken(
            "incompatible_signature",
            f"Version {target} does not serve the callers of version {left} ({named}): repeat with "
            "even_if_incompatible to roll back in spite of that.",
        )
    return most_important(breaking)[0]


def _found(command: RollBack, left: int, state: ModelState, streams: Streams) -> Target:
    target = rollback_target(command.model_id, command.environment, left, state, streams)
    if target.number:
        return target
    if command.even_if_incompatible:
        for n, before in enumerate(predecessors(state, command.environment, left)):
            if not _unfit_because(command.environment, before, state):
                return Target(before, target.skipped[:n])
    skipped = tuple(f"version {s.number}: {s.why}" for s in target.skipped)
    why = "; ".join(skipped) or "nothing served before it"
    raise RuleBroken(
        "no_rollback_target",
        f"Version {left} cannot be rolled back ({why}): promote another version, or name one that has "
        "served.",
        skipped=skipped,
    )


def _named(command: RollBack, target: int, state: ModelState) -> int:
    version = require_usable(state, target)
    here = serving_key(command.environment, target)
    if here not in state.served or here not in state.promoted:
        raise RuleBroken(
            "never_served",
            f"Version {target} has never served in {command.environment}: promote it instead.",
            number=target,
        )
    if not version.released:
        raise RuleBroken(
            "artifact_not_good",
            f"The artifact of version {target} is not noted as good: have it verified first.",
            number=target,
        )
    return target


def rollback_documents(model_id: str, environment: str, state: ModelState) -> set[past.Position]:
    """Return where the documents are that decide the rollback targets in an environment."""
    serving = (
        [e.number for e in state.rollouts[environment].entries if e.percent]
        if environment in state.rollouts
        else []
    )
    return past.documents_of(
        model_id, state, {n for s in serving for n in (s, *predecessors(state, environment, s))}
    )


def _documents(command: RollBack, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    left = past.champion_number(state, command.environment)
    targets = [*predecessors(state, command.environment, left), command.to_number or 0]
    return rollback_documents(command.model_id, command.environment, state).union(
        *(past.evidence_at(command.model_id, state, number) for number in targets)
    )


DECIDERS: Mapping[type, Joint[Any]] = {RollBack: Joint(roll_back, _documents)}
