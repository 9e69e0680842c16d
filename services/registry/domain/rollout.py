"""Who serves in an environment: shares of traffic, the switch, and the way back."""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.registry.domain import evidence
from services.registry.domain.model_events import Entry, Role, RolledBack, RolloutChanged, VersionArchived
from services.registry.domain.model_state import (
    ModelState,
    Rollout,
    known,
    rolled_out,
    stream_of,
    there,
    unusable_because,
    usable,
)
from services.registry.domain.signature import incompatibilities
from shared.decider import Joint, NotFound, RuleBroken, Stale, Streams, Unprocessable

Events = dict[str, list[Any]]
FURTHEST_BACK = 20
"""How many predecessors a rollback looks at."""
MOST_ENTRIES = 20
CHALLENGER_CAP = 50
"""Percent of the requests that a version without a grant for Production may get."""
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
    challenger_cap: int = CHALLENGER_CAP


@dataclass(frozen=True, slots=True)
class RollBack:
    """Back to what served before; or, when something is really wrong, to a named version that has served, or in spite of its signature."""

    model_id: str
    environment: str
    to_number: int | None = None
    even_if_incompatible: bool = False


def check_environment(state: ModelState, environment: str) -> None:
    """Raises Unprocessable for what names no environment. An alias of the same name would make `model@name` ambiguous."""
    if not _ENVIRONMENT.fullmatch(environment):
        raise Unprocessable("invalid_environment", f"{environment!r:.60} names no environment: use lower-case letters, digits and '-', at most 40.")
    if environment in state.aliases:
        raise RuleBroken("name_is_alias", f"{environment} is an alias of {state.model}: remove it, or name the environment otherwise.")


def change(command: ChangeRollout, streams: Streams) -> Events:
    """One event, atomic: the new shares, and what left every rollout goes to the archive."""
    state = known(streams.states[stream_of(command.model_id)])
    check_environment(state, command.environment)
    rollout = state.rollouts.get(command.environment, Rollout((), 0))
    if command.expected not in {None, rollout.revision}:
        raise Stale("stale_rollout", "The rollout has changed since you read it: read it again, then repeat.", revision=rollout.revision)
    _check_shares(command)
    for share in command.shares:
        _check_share(command, share, state)
    entries = tuple(Entry(s.number, state.versions[s.number].semver, s.percent, s.role) for s in command.shares)
    if entries == rollout.entries:
        return {}
    number = next(s.number for s in command.shares if s.role == "champion")
    champion = evidence.champion(command.model_id, state, number, streams)
    changed = RolloutChanged(state.model, command.environment, entries, rollout.entries, champion)
    return {stream_of(command.model_id): [changed, *_archived(state, command.environment, entries)]}


def _check_shares(command: ChangeRollout) -> None:
    shares = command.shares
    roles = Counter(s.role for s in shares)
    wrong = [
        (len(shares) > MOST_ENTRIES, f"a rollout has at most {MOST_ENTRIES} entries"),
        (len({s.number for s in shares}) < len(shares), "a version is there twice"),
        (roles["champion"] != 1, "exactly one entry is the champion"),
        (any(not 0 <= s.percent <= 100 for s in shares), "a percentage is a whole number from 0 to 100"),
        (sum(s.percent for s in shares) != 100, "the percentages must add up to 100"),
        (any(s.percent for s in shares if s.role in {"shadow", "standby"}), "shadow and standby take no share of the requests: 0 percent"),
        (any(not s.percent for s in shares if s.role == "champion"), "the champion takes some of the requests"),
    ]
    if found := [text for is_wrong, text in wrong if is_wrong]:
        raise Unprocessable("invalid_rollout", "Correct the entries: " + "; ".join(found) + ".", problems=found)


def _check_share(command: ChangeRollout, share: Share, state: ModelState) -> None:
    """The champion was promoted to Production here; everyone else is at least Validated. Bytes must be good to get more than they have."""
    version = usable(state, share.number)
    promoted = version.stage == "Production" and there(command.environment, share.number) in state.promoted
    if share.role == "champion" and not promoted:
        raise RuleBroken(
            "champion_not_promoted", f"Version {share.number} is {version.stage} and not promoted to {command.environment}: request its promotion first.",
            number=share.number,
        )  # fmt: skip
    if version.stage not in {"Validated", "Production"}:
        raise RuleBroken("not_validated", f"Version {share.number} is {version.stage}: only what is Validated takes part.", number=share.number)
    if share.role == "challenger" and not promoted and share.percent > command.challenger_cap:
        raise RuleBroken(
            "challenger_cap", f"Version {share.number} is not in Production: it may take at most {command.challenger_cap} percent.", number=share.number,
        )  # fmt: skip
    if not version.released and _rises(share, state.rollouts.get(command.environment, Rollout((), 0)).entries):
        raise RuleBroken(
            "artifact_not_good", f"The artifact of version {share.number} is not noted as good: have it verified first.", number=share.number
        )


def _rises(share: Share, entries: Sequence[Entry]) -> bool:
    """Whether the version gets a share, a larger one, or a role nearer to champion."""
    now = next((e for e in entries if e.number == share.number), None)
    return now is None or share.percent > now.percent or ROLES_RISING.index(share.role) > ROLES_RISING.index(now.role)


def _archived(state: ModelState, environment: str, entries: Sequence[Entry]) -> list[VersionArchived]:
    """What was in Production and takes part nowhere any more."""
    stay = {e.number for e in entries}
    left = [e for e in state.rollouts[environment].entries if e.number not in stay] if environment in state.rollouts else []
    return [
        VersionArchived(state.model, e.number, e.semver)
        for e in left
        if state.versions[e.number].stage == "Production" and rolled_out(state, e.number) == [environment]
    ]


def predecessors(state: ModelState, environment: str, number: int) -> list[int]:
    """What served before this version first got requests, then what served before that, and so on; nearest first."""
    found: list[int] = []
    before = state.served.get(there(environment, number), 0)
    while before and len(found) < FURTHEST_BACK:
        found.append(before)
        before = state.served.get(there(environment, before), 0)
    return found


@dataclass(frozen=True, slots=True)
class Target:
    """Where a rollback goes. `skipped` says why nearer ones were not taken."""

    number: int
    skipped: tuple[str, ...] = ()


def rollback_target(model_id: str, environment: str, number: int, state: ModelState, streams: Streams) -> Target:
    """The nearest predecessor of `number` that is sound and whose signature its callers can use; number 0 for none."""
    skipped: list[str] = []
    used = evidence.document(model_id, state, number, streams).signature
    for before in predecessors(state, environment, number):
        why = _unfit_because(environment, before, state)
        if not why and incompatibilities(used, evidence.document(model_id, state, before, streams).signature):
            why = "its signature does not serve today's callers"
        if not why:
            return Target(before, tuple(skipped))
        skipped.append(f"version {before}: {why}")
    return Target(0, tuple(skipped))


def _unfit_because(environment: str, number: int, state: ModelState) -> str:
    version = state.versions[number]
    if why := unusable_because(version):
        return why
    if there(environment, number) in state.rolled_back:
        return "was itself rolled back from"
    return "" if version.released else "its artifact is not noted as good"


def roll_back(command: RollBack, streams: Streams) -> Events:
    """All requests to the target at once; the left version is remembered as left."""
    state = known(streams.states[stream_of(command.model_id)])
    left = evidence.champion_number(state, command.environment)
    if not left:
        raise NotFound("no_rollout", f"Nothing of {state.model} serves in {command.environment}: there is nothing to roll back.")
    target = command.to_number or _found(command, left, state, streams)
    if target == left:
        raise RuleBroken("already_serving", f"Version {target} is the champion of {command.environment} already.", number=target)
    if command.to_number:
        _check_named(command, target, state)
    used, offered = (evidence.document(command.model_id, state, n, streams).signature for n in (left, target))
    overruled = incompatibilities(used, offered)
    if overruled and not command.even_if_incompatible:
        named = ", ".join(c.path for c in overruled)
        raise RuleBroken(
            "incompatible_signature", f"Version {target} does not serve the callers of version {left} ({named}): say so to do it in spite of that."
        )
    previous = state.rollouts[command.environment].entries
    entries = (Entry(target, state.versions[target].semver, 100, "champion"),)
    champion = evidence.champion(command.model_id, state, target, streams)
    back = RolledBack(state.model, command.environment, entries, previous, champion, left, target, overruled)
    return {stream_of(command.model_id): [back, *_archived(state, command.environment, entries)]}


def _found(command: RollBack, left: int, state: ModelState, streams: Streams) -> int:
    target = rollback_target(command.model_id, command.environment, left, state, streams)
    if target.number:
        return target.number
    if command.even_if_incompatible:
        for before in predecessors(state, command.environment, left):
            if not _unfit_because(command.environment, before, state):
                return before
    why = "; ".join(target.skipped) or "nothing served before it"
    raise RuleBroken(
        "no_rollback_target", f"Version {left} cannot be rolled back ({why}): promote another version, or name one that has served.", skipped=target.skipped,
    )  # fmt: skip


def _check_named(command: RollBack, target: int, state: ModelState) -> None:
    version = usable(state, target)
    if there(command.environment, target) not in state.served or there(command.environment, target) not in state.promoted:
        raise RuleBroken("never_served", f"Version {target} has never served in {command.environment}: promote it instead.", number=target)
    if not version.released:
        raise RuleBroken("artifact_not_good", f"The artifact of version {target} is not noted as good: have it verified first.", number=target)


def rollback_documents(model_id: str, environment: str, state: ModelState) -> set[evidence.Place]:
    """What to recall to find the rollback target of everything that gets requests in an environment."""
    serving = [e.number for e in state.rollouts[environment].entries if e.percent] if environment in state.rollouts else []
    return evidence.documents_of(model_id, state, {n for s in serving for n in (s, *predecessors(state, environment, s))})


def _recall_change(command: ChangeRollout, streams: Streams) -> set[evidence.Place]:
    state: ModelState = streams.states[stream_of(command.model_id)]
    return _evidence_of(command.model_id, state, (s.number for s in command.shares if s.role == "champion"))


def _recall_back(command: RollBack, streams: Streams) -> set[evidence.Place]:
    state: ModelState = streams.states[stream_of(command.model_id)]
    left = evidence.champion_number(state, command.environment)
    targets = [*predecessors(state, command.environment, left), command.to_number or 0]
    return rollback_documents(command.model_id, command.environment, state) | _evidence_of(command.model_id, state, targets)


def _evidence_of(model_id: str, state: ModelState, numbers: Iterable[int]) -> set[evidence.Place]:
    return {place for number in numbers for place in evidence.evidence_at(model_id, state, number)}


def pick(entries: Sequence[Entry], key: str) -> Entry:
    """Which version serves this request, by weighted rendezvous hashing.

    The same key always gets the same one while the shares stay; raising one version's share moves keys to that version only.
    """
    return max((e for e in entries if e.percent), key=lambda e: e.percent / -math.log(_uniform(f"{e.number}\n{key}")))


def _uniform(text: str) -> float:
    """Between 0 and 1, both excluded."""
    return (int.from_bytes(hashlib.sha256(text.encode()).digest()[:6], "big") + 0.5) / 2**48


DECIDERS: Mapping[type, Joint[Any]] = {
    ChangeRollout: Joint(change, _recall_change),
    RollBack: Joint(roll_back, _recall_back),
}
