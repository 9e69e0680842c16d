"""Who serves in an environment: shares of traffic, the switch, and the way back."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model.events import (
    Entry,
    Role,
    RolledBack,
    RolloutChanged,
    Skipped,
    VersionArchived,
)
from services.registry.domain.model.fold import evolve
from services.registry.domain.model.state import (
    Events,
    ModelState,
    Rollout,
    known,
    predecessors,
    rolled_out,
    stream_of,
    there,
    unusable_because,
    usable,
)
from services.registry.domain.promotion import evidence
from services.registry.domain.versioning.bump import told
from services.registry.domain.versioning.signature import incompatibilities
from shared.deciding.decider import Joint, NotFound, RuleBroken, Stale, Streams, Unprocessable

MOST_ENTRIES = 20
CHALLENGER_CAP = 50
"""Percent of the requests that versions without a grant for Production may get together."""
ROLES_RISING: tuple[Role, ...] = ("standby", "shadow", "challenger", "champion")

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Share:
    """One wished entry of a rollout."""

    number: int
    percent: int
    role: Role


@dataclass(frozen=True, slots=True)
class ChangeRollout:
    """The whole rollout as it shall be. `expected` is the revision of the one the caller saw."""

    model_id: str
    environment: str
    shares: tuple[Share, ...]
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class RollBack:
    """Back to what served before; or, when something is really wrong, to a named version that has served, or in spite of its signature.

    `expected` is the revision of the rollout that the caller saw.
    """

    model_id: str
    environment: str
    to_number: int | None = None
    even_if_incompatible: bool = False
    expected: int | None = None


def check_environment(state: ModelState, environment: str) -> None:
    """Raises Unprocessable for what names no environment.

    An alias of the same name would make `model@name` ambiguous.
    """
    if not _ENVIRONMENT.fullmatch(environment):
        raise Unprocessable(
            "invalid_environment",
            f"{environment!r:.60} names no environment: use lower-case letters, digits and '-', at most 40.",
        )
    if environment in state.aliases:
        raise RuleBroken(
            "name_is_alias",
            f"{environment} is an alias of {state.model}: remove it, or name the environment otherwise.",
        )


def change(command: ChangeRollout, streams: Streams) -> Events:
    """One event, atomic: the new shares, and what left every rollout goes to the archive."""
    state = known(streams.states[stream_of(command.model_id)])
    check_environment(state, command.environment)
    rollout = _as_expected(command, state)
    _check_shares(command)
    for share in command.shares:
        _check_share(command, share, state)
    _check_cap(command, state)
    entries = tuple(
        Entry(s.number, state.versions[s.number].semver, s.percent, s.role) for s in command.shares
    )
    if entries == rollout.entries:
        return {}
    number = next(s.number for s in command.shares if s.role == "champion")
    champion = evidence.champion(command.model_id, state, number, streams)
    changed = RolloutChanged(state.model, command.environment, entries, rollout.entries, champion)
    return {stream_of(command.model_id): [changed, *_archived(state, changed)]}


def _as_expected(command: ChangeRollout | RollBack, state: ModelState) -> Rollout:
    rollout = state.rollouts.get(command.environment, Rollout((), 0))
    if command.expected not in {None, rollout.revision}:
        raise Stale(
            "stale_rollout",
            "The rollout has changed since you read it: read it again, then repeat.",
            revision=rollout.revision,
        )
    return rollout


def _check_shares(command: ChangeRollout) -> None:
    shares = command.shares
    roles = Counter(s.role for s in shares)
    wrong = [
        (len(shares) > MOST_ENTRIES, f"a rollout has at most {MOST_ENTRIES} entries"),
        (len({s.number for s in shares}) < len(shares), "a version is there twice"),
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
    """The champion was promoted to Production here; everyone else is at least Validated.

    Bytes must be good to get more than they have.
    """
    version = usable(state, share.number)
    if share.role == "champion" and there(command.environment, share.number) in state.left:
        raise RuleBroken(
            "served_before",
            f"Version {share.number} has served in {command.environment} and left: roll back to it by its number.",
            number=share.number,
        )
    if share.role == "champion" and not _granted(state, command.environment, share.number):
        raise RuleBroken(
            "champion_not_promoted",
            f"Version {share.number} is {version.stage} and not promoted to {command.environment}: request its promotion first.",
            number=share.number,
        )
    if version.stage not in {"Validated", "Production"}:
        raise RuleBroken(
            "not_validated",
            f"Version {share.number} is {version.stage}: only what is Validated takes part.",
            number=share.number,
        )
    if not version.released and _rises(
        share, state.rollouts.get(command.environment, Rollout((), 0)).entries
    ):
        raise RuleBroken(
            "artifact_not_good",
            f"The artifact of version {share.number} is not noted as good: have it verified first.",
            number=share.number,
        )


def _granted(state: ModelState, environment: str, number: int) -> bool:
    """Whether it may be champion there: by a promotion, which ends when it leaves."""
    here = there(environment, number)
    return state.versions[number].stage == "Production" and here in state.promoted and here not in state.left


def _check_cap(command: ChangeRollout, state: ModelState) -> None:
    trying = [
        s
        for s in command.shares
        if s.role == "challenger" and not _granted(state, command.environment, s.number)
    ]
    if sum(s.percent for s in trying) > CHALLENGER_CAP:
        named = ", ".join(str(s.number) for s in trying)
        raise RuleBroken(
            "challenger_cap",
            f"What is not promoted to {command.environment} ({named}) may take at most {CHALLENGER_CAP} percent together: lower its share.",
        )


def _rises(share: Share, entries: Sequence[Entry]) -> bool:
    """Whether the version gets a share, a larger one, or a role nearer to champion."""
    now = next((e for e in entries if e.number == share.number), None)
    return (
        now is None
        or share.percent > now.percent
        or ROLES_RISING.index(share.role) > ROLES_RISING.index(now.role)
    )


def _archived(state: ModelState, changed: RolloutChanged | RolledBack) -> list[VersionArchived]:
    """What left with this change, and what waited to serve there and was overtaken by it."""
    after = evolve(state, changed)
    left = [x.number for x in changed.previous if x not in changed.entries]
    overtaken = sorted(number for key, number in state.waiting.items() if key not in after.waiting)
    return ended(after, dict.fromkeys((*left, *overtaken)))


def ended(state: ModelState, numbers: Iterable[int]) -> list[VersionArchived]:
    """Those of `numbers` that are in Production, take part nowhere any more, and are not yet to serve either."""
    return [
        VersionArchived(state.model, number, version.semver)
        for number in numbers
        if (version := state.versions[number]).stage == "Production"
        and not rolled_out(state, number)
        and (
            version.recalled
            or not any(there(environment, number) in state.waiting for environment in state.rollouts)
        )
    ]


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rollback goes. `skipped` says why nearer ones were not taken."""

    number: int
    skipped: tuple[Skipped, ...] = ()


def rollback_target(
    model_id: str, environment: str, number: int, state: ModelState, streams: Streams
) -> Target:
    """The nearest predecessor of `number` that is sound and whose signature its callers can use; number 0 for none."""
    skipped: list[Skipped] = []
    used = evidence.document(model_id, state, number, streams).signature
    for before in predecessors(state, environment, number):
        why = _unfit_because(environment, before, state)
        if not why and incompatibilities(used, evidence.document(model_id, state, before, streams).signature):
            why = "its signature does not serve today's callers"
        if not why:
            return Target(before, tuple(skipped))
        skipped.append(Skipped(before, why))
    return Target(0, tuple(skipped))


def last_resort(environment: str, number: int, state: ModelState) -> int:
    """The nearest predecessor that only its signature or its bytes keep from being the target; 0 for none.

    Both can be overcome.
    """
    return next(
        (n for n in predecessors(state, environment, number) if not _given_up_because(environment, n, state)),
        0,
    )


def _given_up_because(environment: str, number: int, state: ModelState) -> str:
    if why := unusable_because(state.versions[number]):
        return why
    return "was itself rolled back from" if there(environment, number) in state.rolled_back else ""


def _unfit_because(environment: str, number: int, state: ModelState) -> str:
    return _given_up_because(environment, number, state) or (
        "" if state.versions[number].released else "its artifact is not noted as good"
    )


def roll_back(command: RollBack, streams: Streams) -> Events:
    """All requests to the target at once; the left version is remembered as left."""
    state = known(streams.states[stream_of(command.model_id)])
    left = evidence.champion_number(state, command.environment)
    if not left:
        raise NotFound(
            "no_rollout",
            f"Nothing of {state.model} serves in {command.environment}: there is nothing to roll back.",
        )
    previous = _as_expected(command, state).entries
    if command.to_number == left:
        raise RuleBroken(
            "already_serving",
            f"Version {left} is the champion of {command.environment} already.",
            number=left,
        )
    target, skipped = (
        _named(command, command.to_number, state)
        if command.to_number
        else _found(command, left, state, streams)
    )
    used, offered = (evidence.document(command.model_id, state, n, streams).signature for n in (left, target))
    overruled = incompatibilities(used, offered)
    if overruled and not command.even_if_incompatible:
        named = ", ".join(c.path for c in overruled)
        raise RuleBroken(
            "incompatible_signature",
            f"Version {target} does not serve the callers of version {left} ({named}): say so to do it in spite of that.",
        )
    entries = (Entry(target, state.versions[target].semver, 100, "champion"),)
    champion = evidence.champion(command.model_id, state, target, streams)
    back = RolledBack(
        state.model,
        command.environment,
        entries,
        previous,
        champion,
        left,
        target,
        told(overruled)[0],
        skipped,
    )
    return {stream_of(command.model_id): [back, *_archived(state, back)]}


def _found(
    command: RollBack, left: int, state: ModelState, streams: Streams
) -> tuple[int, tuple[Skipped, ...]]:
    target = rollback_target(command.model_id, command.environment, left, state, streams)
    if target.number:
        return target.number, target.skipped
    if command.even_if_incompatible:
        for n, before in enumerate(predecessors(state, command.environment, left)):
            if not _unfit_because(command.environment, before, state):
                return before, target.skipped[:n]
    skipped = tuple(f"version {s.number}: {s.why}" for s in target.skipped)
    why = "; ".join(skipped) or "nothing served before it"
    raise RuleBroken(
        "no_rollback_target",
        f"Version {left} cannot be rolled back ({why}): promote another version, or name one that has served.",
        skipped=skipped,
    )


def _named(command: RollBack, target: int, state: ModelState) -> tuple[int, tuple[Skipped, ...]]:
    version = usable(state, target)
    if (
        there(command.environment, target) not in state.served
        or there(command.environment, target) not in state.promoted
    ):
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
    return target, ()


def rollback_documents(model_id: str, environment: str, state: ModelState) -> set[evidence.Place]:
    """What to recall to find the rollback target of everything that gets requests in an environment."""
    serving = (
        [e.number for e in state.rollouts[environment].entries if e.percent]
        if environment in state.rollouts
        else []
    )
    return evidence.documents_of(
        model_id, state, {n for s in serving for n in (s, *predecessors(state, environment, s))}
    )


def _recall_change(command: ChangeRollout, streams: Streams) -> set[evidence.Place]:
    state: ModelState = streams.states[stream_of(command.model_id)]
    return _evidence_of(command.model_id, state, (s.number for s in command.shares if s.role == "champion"))


def _recall_back(command: RollBack, streams: Streams) -> set[evidence.Place]:
    state: ModelState = streams.states[stream_of(command.model_id)]
    left = evidence.champion_number(state, command.environment)
    targets = [*predecessors(state, command.environment, left), command.to_number or 0]
    return rollback_documents(command.model_id, command.environment, state) | _evidence_of(
        command.model_id, state, targets
    )


def _evidence_of(model_id: str, state: ModelState, numbers: Iterable[int]) -> set[evidence.Place]:
    return {place for number in numbers for place in evidence.evidence_at(model_id, state, number)}


DECIDERS: Mapping[type, Joint[Any]] = {
    ChangeRollout: Joint(change, _recall_change),
    RollBack: Joint(roll_back, _recall_back),
}
