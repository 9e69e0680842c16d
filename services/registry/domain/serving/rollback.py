"""Rollback: all requests go back to a version that served before."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from itertools import islice
from types import MappingProxyType
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import Entry, RolledBack, Skipped, VersionValidated
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import callers_signature
from services.registry.domain.model.state import (
    FURTHEST_BACK,
    Events,
    ModelState,
    Rollout,
    is_production,
    predecessors,
    require_model,
    require_usable,
    serving_key,
    stream_of,
    unusable_because,
)
from services.registry.domain.serving import good_bytes
from services.registry.domain.serving.departure import departures
from services.registry.domain.serving.environment import ENVIRONMENT, ENVIRONMENTS, require_environment
from services.registry.domain.serving.rollout import (
    grant_withdrawn,
    require_rollout,
    require_served,
    way_to_champion,
)
from services.registry.domain.versioning.bump import most_important
from services.registry.domain.versioning.signature import incompatibilities
from shared.deciding.access import namespace_of
from shared.deciding.decider import Joint, RuleBroken, Streams

NO_DOUBTS: Mapping[int, str] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class RollBack:
    """End a split, or roll back to what served before, or to `to_number`, which was champion there before.

    `even_if_incompatible` accepts a target whose schema breaks today's callers. `expected` is the revision
    of the rollout that the caller saw, `from_number` the champion. `doubts` names the versions that share
    data or parents with a recalled version; they are the last to be chosen. `dry_run` raises DryRun.
    """

    model_id: str
    environment: str
    to_number: int | None = None
    even_if_incompatible: bool = False
    expected: int | None = None
    from_number: int | None = None
    doubts: Mapping[int, str] = field(default_factory=dict)
    dry_run: bool = False


class DryRun(RuleBroken):
    """The rollback was not to be done. `rolled_back` is the event that it would have led to."""

    def __init__(self, rolled_back: RolledBack, revision: int) -> None:
        super().__init__("dry_run", "Nothing was changed: this is what the rollback would do.")
        self.rolled_back = rolled_back
        self.revision = revision


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rollback goes.

    `skipped` gives the nearer versions that it does not go to, and why; `warning` what is doubtful about it.
    """

    number: int
    skipped: tuple[Skipped, ...] = ()
    warning: str = ""


def rollback_target(
    model_id: str,
    environment: str,
    number: int,
    state: ModelState,
    streams: Streams,
    doubts: Mapping[int, str] = NO_DOUBTS,
) -> Target:
    """Return the nearest predecessor of `number` that is fit to serve its callers; number 0 for none.

    A version in `doubts` is the target only when no other one is fit.
    """
    skipped: list[Skipped] = []
    doubtful = Target(0)
    used = callers_signature(past.document(model_id, state, number, streams))
    for before in predecessors(state, environment, number):
        why = _unfit_because(environment, before, state)
        offered = callers_signature(past.document(model_id, state, before, streams))
        if not why and incompatibilities(used, offered):
            why = "its schema does not serve today's callers"
        if not why and before in doubts:
            doubtful = doubtful if doubtful.number else Target(before, tuple(skipped), doubts[before])
            why = doubts[before]
        if not why:
            return Target(before, tuple(skipped))
        skipped.append(Skipped(before, why))
    return doubtful if doubtful.number else Target(0, tuple(skipped))


def fallback_target(environment: str, number: int, state: ModelState) -> int:
    """Return the nearest predecessor that only its schema or its bytes keep from being the target, or 0.

    A caller can overrule the schema, and the bytes can become good again.
    """
    return next(
        (n for n in predecessors(state, environment, number) if not _excluded_because(environment, n, state)),
        0,
    )


def _excluded_because(environment: str, number: int, state: ModelState) -> str:
    if why := unusable_because(state.versions[number]):
        return why
    if state.versions[number].failed:
        return "its bytes can never be good"
    if serving_key(environment, number) in state.withdrawn:
        return "its override was not justified"
    return "was itself rolled back from" if serving_key(environment, number) in state.rolled_back else ""


def _unfit_because(environment: str, number: int, state: ModelState) -> str:
    return _excluded_because(environment, number, state) or (
        "" if state.versions[number].released else "its artifact is not noted as good"
    )


def roll_back(command: RollBack, streams: Streams) -> Events:
    """Send all requests to the target in one step, and end the service of all others."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    environment = command.environment
    require_served(state, environment, streams, "roll back")
    rollout = require_rollout(state, environment, command.expected, command.from_number)
    if not rollout.entries:  # after a stop a rollback begins a use, which a retired environment has no more
        require_environment(streams.state(ENVIRONMENT, ENVIRONMENTS), namespace_of(state.model), environment)
    left = past.champion_number(state, environment)
    target = _target(command, left, state, streams)
    callers = left or rollout.last
    rolled_back = RolledBack(
        model=state.model,
        environment=environment,
        entries=(Entry(target.number, state.versions[target.number].semver, 100, "champion"),),
        previous=rollout.entries,
        champion=past.champion(command.model_id, state, target.number, streams),
        from_number=left,
        to_number=target.number,
        overruled=_overruled(command, callers, target.number, state, streams),
        skipped=target.skipped,
        warning=target.warning,
        production=is_production(state, environment),
    )
    if command.dry_run:
        raise DryRun(rolled_back, rollout.revision)
    version = state.versions[target.number]
    again = not rolled_back.production and version.stage == "Archived"
    validated = [VersionValidated(state.model, target.number, version.semver)] if again else []
    return {stream_of(command.model_id): [rolled_back, *validated, *departures(state, rolled_back)]}


def _target(command: RollBack, left: int, state: ModelState, streams: Streams) -> Target:
    environment, to = command.environment, command.to_number
    split = state.rollouts[environment].is_split
    if to is None and not left:
        raise RuleBroken(
            "rollout_stopped",
            f"The rollout in {environment} is stopped, so no version serves there: "
            f"{_named_ways(environment, state)}.",
            targets=named_targets(environment, state),
        )
    if split and to in {None, left}:
        return _end_of_split(environment, left, state)
    if to == left:
        raise RuleBroken(
            "already_serving",
            f"Version {left} is the champion of {environment} already: name another version.",
            number=left,
        )
    if to is not None:
        return Target(_named(command, to, state), warning=command.doubts.get(to, ""))
    return _found(command, left, state, streams)


def _end_of_split(environment: str, champion: int, state: ModelState) -> Target:
    """Return the champion as the target. Raise RuleBroken when it must not get more requests than it has."""
    version = state.versions[champion]
    why = unusable_because(version) or ("" if version.released else "its artifact is not noted as good")
    if serving_key(environment, champion) in state.withdrawn:
        why = "its override was not justified"
    if why:
        raise RuleBroken(
            "champion_unfit",
            f"Version {champion} is the champion of {environment} and must not get all requests ({why}): "
            f"{_named_ways(environment, state)}, or stop the rollout.",
            number=champion,
            targets=named_targets(environment, state),
        )
    return Target(champion)


def named_targets(environment: str, state: ModelState) -> list[int]:
    """Return the versions that a rollback can name, the newest first, at most FURTHEST_BACK."""
    champion = past.champion_number(state, environment)
    found = (
        number
        for number in range(state.newest, 0, -1)
        if number != champion
        and serving_key(environment, number) in state.champions
        and serving_key(environment, number) not in state.withdrawn
        and not unusable_because(state.versions[number])
        and state.versions[number].released
    )
    return list(islice(found, FURTHEST_BACK))


def _named_ways(environment: str, state: ModelState) -> str:
    """Return in words how another version becomes champion."""
    if targets := named_targets(environment, state):
        named = ", ".join(map(str, targets))
        return f"name the version to roll back to ({named}), or switch to a promoted version"
    return "promote another version and switch to it"


def _overruled(
    command: RollBack, left: int, target: int, state: ModelState, streams: Streams
) -> tuple[Any, ...]:
    """Return how the target's schema breaks callers. Raise RuleBroken unless the caller accepts that."""
    if left in {0, target}:
        return ()
    used, offered = (
        callers_signature(past.document(command.model_id, state, n, streams)) for n in (left, target)
    )
    breaking = incompatibilities(used, offered)
    if breaking and not command.even_if_incompatible:
        named = ", ".join(c.path for c in breaking)
        raise RuleBroken(
            "incompatible_signature",
            f"Version {target} does not serve the callers of version {left} ({named}): repeat with "
            "even_if_incompatible (`--even-if-incompatible`) to roll back in spite of that.",
        )
    return most_important(breaking)[0]


def _found(command: RollBack, left: int, state: ModelState, streams: Streams) -> Target:
    environment = command.environment
    target = rollback_target(command.model_id, environment, left, state, streams, command.doubts)
    if target.number:
        return target
    fit = [
        (n, number)
        for n, number in enumerate(predecessors(state, environment, left))
        if not _unfit_because(environment, number, state)
    ]
    if fit and command.even_if_incompatible:
        fit.sort(key=lambda found: found[1] in command.doubts)
        n, number = fit[0]
        return Target(number, target.skipped[:n], command.doubts.get(number, ""))
    skipped = tuple(f"version {s.number}: {s.why}" for s in target.skipped)
    why = "; ".join(skipped) or "nothing served before it"
    incompatible = "repeat with even_if_incompatible (`--even-if-incompatible`), " if fit else ""
    raise RuleBroken(
        "no_rollback_target",
        f"Version {left} cannot be rolled back ({why}): {incompatible}{_named_ways(environment, state)}, or "
        "stop the rollout (`regista rollout stop`).",
        skipped=skipped,
        targets=named_targets(environment, state),
    )


def _named(command: RollBack, target: int, state: ModelState) -> int:
    require_usable(state, target)
    step, way = way_to_champion(state, command.environment, target)
    if step in good_bytes.STEPS:
        raise good_bytes.not_good(state, target)
    if serving_key(command.environment, target) in state.withdrawn:
        raise grant_withdrawn(command.environment, target)
    if serving_key(command.environment, target) not in state.champions:
        raise RuleBroken(
            "never_served",
            f"Version {target} has never been champion of {command.environment}: {way}.",
            number=target,
            next_step=step,
        )
    return target


def serving_numbers(rollout: Rollout) -> list[int]:
    """Return the versions that get requests; after a stop the champion before it."""
    return [e.number for e in rollout.entries if e.percent] or [rollout.last]


def rollback_documents(model_id: str, environment: str, state: ModelState) -> set[past.Position]:
    """Return where the documents are that decide the rollback targets in an environment."""
    rollout = state.rollouts.get(environment)
    serving = serving_numbers(rollout) if rollout else []
    return past.documents_of(
        model_id, state, {n for s in serving for n in (s, *predecessors(state, environment, s))}
    )


def _documents(command: RollBack, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    left = past.champion_number(state, command.environment)
    targets = [*predecessors(state, command.environment, left), left, command.to_number or 0]
    return rollback_documents(command.model_id, command.environment, state).union(
        *(past.evidence_at(command.model_id, state, number) for number in targets)
    )


DECIDERS: Mapping[type, Joint[Any]] = {RollBack: Joint(roll_back, _documents)}
