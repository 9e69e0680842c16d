"""Rollouts: which versions serve in an environment, with which shares of the requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from regista.wire.policies import CHALLENGER_CAPS
from services.registry.domain.model import past
from services.registry.domain.model.events import Entry, Role, RolloutChanged
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import (
    Events,
    ModelState,
    Rollout,
    is_production,
    require_model,
    require_usable,
    serving_key,
    stream_of,
)
from services.registry.domain.serving.departure import departures
from services.registry.domain.serving.environment import (
    ENVIRONMENT,
    ENVIRONMENTS,
    Environment,
    require_environment,
)
from services.registry.domain.serving.good_bytes import not_good, way_to_good_bytes
from shared.deciding.access import namespace_of
from shared.deciding.decider import Joint, NotFound, RuleBroken, Stale, Streams, Unprocessable

MOST_ENTRIES = 20
ROLES_RISING: tuple[Role, ...] = ("standby", "shadow", "challenger", "champion")


@dataclass(frozen=True, slots=True)
class Share:
    """One requested entry of a rollout."""

    number: int
    percent: int
    role: Role


@dataclass(frozen=True, slots=True)
class ChangeRollout:
    """Replace the whole rollout. It reads ENVIRONMENTS.

    `expected` is the revision of the rollout that the caller saw, `from_number` the champion (0: none).
    """

    model_id: str
    environment: str
    shares: tuple[Share, ...]
    expected: int | None = None
    from_number: int | None = None


def declared_environment(state: ModelState, environment: str, streams: Streams) -> Environment:
    """Return the environment. Raise NotFound when it is not declared, RuleBroken when an alias has that name.

    With both, `model@name` would be ambiguous.
    """
    declared = streams.state(ENVIRONMENT, ENVIRONMENTS)
    found = require_environment(declared, namespace_of(state.model), environment)
    if environment in state.aliases:
        raise RuleBroken(
            "name_is_alias",
            f"{environment} is an alias of {state.model}: remove the alias, or choose another environment "
            "name.",
        )
    return found


def change(command: ChangeRollout, streams: Streams) -> Events:
    """Set the new shares and archive what no longer serves anywhere, in one step."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    environment = declared_environment(state, command.environment, streams)
    rollout = require_rollout(state, command.environment, command.expected, command.from_number)
    _check_shares(command)
    for share in command.shares:
        _check_share(command, share, state)
    if environment.production:
        _check_cap(command, state)
    entries = tuple(
        Entry(s.number, state.versions[s.number].semver, s.percent, s.role) for s in command.shares
    )
    if entries == rollout.entries:
        return {}
    number = next(s.number for s in command.shares if s.role == "champion")
    champion = past.champion(command.model_id, state, number, streams)
    changed = RolloutChanged(
        state.model, command.environment, entries, rollout.entries, champion, environment.production
    )
    return {stream_of(command.model_id): [changed, *departures(state, changed)]}


def require_rollout(
    state: ModelState, environment: str, expected: int | None, from_number: int | None = None
) -> Rollout:
    """Return the rollout, an empty one where no version ever served.

    Raise Stale when it is not at the revision, or does not have the champion, that the caller saw.
    """
    rollout = state.rollouts.get(environment, Rollout((), 0))
    champion = rollout.champion.number if rollout.champion else 0
    if expected not in {None, rollout.revision} or from_number not in {None, champion}:
        serves = ", ".join(f"{e.number} ({e.role}, {e.percent} %)" for e in rollout.entries) or "no version"
        raise Stale(
            "stale_rollout",
            f"The rollout has changed since you read it: it is at revision {rollout.revision}, and {serves} "
            f"serves in {environment}. Read it again, then repeat the request.",
            revision=rollout.revision,
            champion=champion,
            entries=rollout.entries,
        )
    return rollout


def require_served(state: ModelState, environment: str, streams: Streams, what: str) -> None:
    """Raise NotFound where no version of the model ever served; a mistyped environment is named as such."""
    if environment not in state.rollouts:
        require_environment(streams.state(ENVIRONMENT, ENVIRONMENTS), namespace_of(state.model), environment)
        raise NotFound(
            "no_rollout", f"Nothing of {state.model} serves in {environment}: there is nothing to {what}."
        )


def _check_shares(command: ChangeRollout) -> None:
    shares = command.shares
    roles = Counter(s.role for s in shares)
    wrong = [
        (len(shares) > MOST_ENTRIES, f"a rollout has at most {MOST_ENTRIES} entries"),
        (len({s.number for s in shares}) < len(shares), "a version is given twice"),
        (roles["champion"] != 1, "exactly one entry is the champion"),
        (any(not 0 <= s.percent <= 100 for s in shares), "a percentage is a whole number from 0 to 100"),
        (sum(s.percent for s in shares) != 100, "the percentages must add up to 100"),
        (
            any(s.percent for s in shares if s.role in {"shadow", "standby"}),
            "shadow and standby take no share of the requests: 0 percent",
        ),
        (
            any(not s.percent for s in shares if s.role == "champion"),
            "the champion takes some of the requests",
        ),
    ]
    if found := [text for is_wrong, text in wrong if is_wrong]:
        raise Unprocessable(
            "invalid_rollout", "Correct the entries: " + "; ".join(found) + ".", problems=found
        )


def _check_share(command: ChangeRollout, share: Share, state: ModelState) -> None:
    """Raise RuleBroken unless the champion was promoted here and every other version is at least Validated.

    A version whose bytes are not good gets no more than it has.
    """
    version = require_usable(state, share.number)
    entries = state.rollouts.get(command.environment, Rollout((), 0)).entries
    if version.artifact and not version.released and _rises(share, entries):
        raise not_good(state, share.number)
    if serving_key(command.environment, share.number) in state.withdrawn:
        if _rises(share, entries):
            raise grant_withdrawn(command.environment, share.number)
        return
    if share.role == "champion":
        _check_champion(command.environment, share.number, state)
    elif version.stage == "Archived":
        raise RuleBroken(
            "not_validated",
            f"Version {share.number} is Archived: reopen it first, so that its gates are assessed again.",
            number=share.number,
            next_step="reopen",
        )
    elif version.stage not in {"Validated", "Production"}:
        raise RuleBroken(
            "not_validated",
            f"Version {share.number} is {version.stage}: wait until its gates and its artifact are good, "
            "because only Validated versions take part.",
            number=share.number,
            next_step="wait",
        )
    if not version.released and _rises(share, entries):
        raise not_good(state, share.number)


def grant_withdrawn(environment: str, number: int) -> RuleBroken:
    """Return the refusal of further requests for a version whose override was not justified."""
    return RuleBroken(
        "grant_withdrawn",
        f"The override that let version {number} serve in {environment} was not justified, so it gets no "
        "further requests: request its promotion, and have it approved.",
        number=number,
        next_step="promote",
    )


def _check_champion(environment: str, number: int, state: ModelState) -> None:
    if granted(state, environment, number):
        return
    step, way = way_to_champion(state, environment, number)
    if step == "rollback":
        raise RuleBroken(
            "served_before",
            f"Version {number} has served in {environment} and left: {way}.",
            number=number,
            next_step=step,
        )
    raise RuleBroken(
        "champion_not_promoted",
        f"Version {number} is {state.versions[number].stage} and not promoted to {environment}: {way}.",
        number=number,
        next_step=step,
    )


def granted(state: ModelState, environment: str, number: int) -> bool:
    """Return whether the version may be champion there: it was promoted, and has not left since."""
    here, stage = serving_key(environment, number), state.versions[number].stage
    fit = stage == "Production" or (stage == "Validated" and not is_production(state, environment))
    return fit and here in state.promoted and here not in state.left


def way_to_champion(state: ModelState, environment: str, number: int) -> tuple[str, str]:
    """Return the next step by which a usable version becomes champion there: its short name, and in words."""
    version = state.versions[number]
    if version.artifact and not version.released:
        return way_to_good_bytes(version)
    if serving_key(environment, number) in state.withdrawn:
        return "promote", "request its promotion, because its override was not justified"
    if serving_key(environment, number) in state.left:
        return "rollback", "roll back to it by its number"
    if version.stage == "Staging":
        return "wait", "wait until its gates and its artifact are good, then request its promotion"
    if not version.released:
        return way_to_good_bytes(version)
    if granted(state, environment, number):
        return "switch", "switch to it"
    return "promote", "request its promotion first"


def _check_cap(command: ChangeRollout, state: ModelState) -> None:
    not_granted = [
        s
        for s in command.shares
        if s.role == "challenger"
        and not granted(state, command.environment, s.number)
        and serving_key(command.environment, s.number) not in state.withdrawn
    ]
    by_tier = CHALLENGER_CAPS.get(state.tier, 0)
    caps = [cap if (cap := state.versions[s.number].cap) >= 0 else by_tier for s in not_granted if s.percent]
    cap = min(caps, default=0)
    if sum(s.percent for s in not_granted) > cap:
        _check_that_the_champion_may_take_the_rest(command, state, cap)
        named = ", ".join(str(s.number) for s in not_granted)
        less = f"lower their shares to {cap} percent" if cap else "make them shadows with 0 percent"
        why = "their policy sets that" if cap != by_tier else f"the tier of {state.model} is {state.tier}"
        raise RuleBroken(
            "challenger_cap",
            f"Versions that are not promoted to {command.environment} ({named}) may take at most "
            f"{cap} percent of the requests together, because {why}: {less}.",
            cap=cap,
            tier=state.tier,
        )


def _check_that_the_champion_may_take_the_rest(command: ChangeRollout, state: ModelState, cap: int) -> None:
    """Raise RuleBroken when lower shares of the others would give a champion with bad bytes more requests."""
    champion = next(s for s in command.shares if s.role == "champion")
    entries = state.rollouts.get(command.environment, Rollout((), 0)).entries
    if not state.versions[champion.number].released and _rises(replace(champion, percent=100 - cap), entries):
        step, way = way_to_good_bytes(state.versions[champion.number])
        raise RuleBroken(
            "artifact_not_good",
            f"The others may take at most {cap} percent together, and the champion, version "
            f"{champion.number}, cannot take the rest, because its bytes are not noted as good: {way}.",
            number=champion.number,
            next_step=step,
        )


def _rises(share: Share, entries: Sequence[Entry]) -> bool:
    """Return whether the version gets a share, a larger one, or a role nearer to champion."""
    now = next((e for e in entries if e.number == share.number), None)
    return (
        now is None
        or share.percent > now.percent
        or ROLES_RISING.index(share.role) > ROLES_RISING.index(now.role)
    )


def _documents(command: ChangeRollout, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    champions = (s.number for s in command.shares if s.role == "champion")
    return {at for number in champions for at in past.evidence_at(command.model_id, state, number)}


DECIDERS: Mapping[type, Joint[Any]] = {ChangeRollout: Joint(change, _documents)}
