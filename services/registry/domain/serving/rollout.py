"""Rollouts: which versions serve in an environment, with which shares of the requests."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import (
    Entry,
    Role,
    RolledBack,
    RolloutChanged,
    VersionArchived,
)
from services.registry.domain.model.fold import MODEL, evolve
from services.registry.domain.model.state import (
    Events,
    ModelState,
    Rollout,
    require_model,
    require_usable,
    rolled_out,
    serving_key,
    stream_of,
)
from shared.deciding.decider import Joint, RuleBroken, Stale, Streams, Unprocessable

MOST_ENTRIES = 20
CHALLENGER_CAP = 50
"""The percent of the requests that all versions without a grant for Production may get together."""
ROLES_RISING: tuple[Role, ...] = ("standby", "shadow", "challenger", "champion")

_ENVIRONMENT = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Share:
    """One requested entry of a rollout."""

    number: int
    percent: int
    role: Role


@dataclass(frozen=True, slots=True)
class ChangeRollout:
    """Replace the whole rollout. `expected` is the revision of the rollout that the caller saw."""

    model_id: str
    environment: str
    shares: tuple[Share, ...]
    expected: int | None = None


def check_environment(state: ModelState, environment: str) -> None:
    """Raise Unprocessable when the text names no environment, RuleBroken when an alias has that name.

    With both, `model@name` would be ambiguous.
    """
    if not _ENVIRONMENT.fullmatch(environment):
        raise Unprocessable(
            "invalid_environment",
            f"{environment!r:.60} names no environment: use lower-case letters, digits and '-', at most 40.",
        )
    if environment in state.aliases:
        raise RuleBroken(
            "name_is_alias",
            f"{environment} is an alias of {state.model}: remove the alias, or choose another environment "
            "name.",
        )


def change(command: ChangeRollout, streams: Streams) -> Events:
    """Set the new shares and archive what no longer serves anywhere, in one step."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    check_environment(state, command.environment)
    rollout = require_rollout(state, command.environment, command.expected)
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
    champion = past.champion(command.model_id, state, number, streams)
    changed = RolloutChanged(state.model, command.environment, entries, rollout.entries, champion)
    return {stream_of(command.model_id): [changed, *archived_by(state, changed)]}


def require_rollout(state: ModelState, environment: str, expected: int | None) -> Rollout:
    """Return the rollout, an empty one where nothing serves.

    Raise Stale when it is not at the revision that the caller saw.
    """
    rollout = state.rollouts.get(environment, Rollout((), 0))
    if expected not in {None, rollout.revision}:
        raise Stale(
            "stale_rollout",
            "The rollout has changed since you read it: read it again, then repeat the request.",
            revision=rollout.revision,
        )
    return rollout


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
    if share.role == "champion" and serving_key(command.environment, share.number) in state.left:
        raise RuleBroken(
            "served_before",
            f"Version {share.number} has served in {command.environment} and left: roll back to it by its "
            "number.",
            number=share.number,
        )
    if share.role == "champion" and not _granted(state, command.environment, share.number):
        raise RuleBroken(
            "champion_not_promoted",
            f"Version {share.number} is {version.stage} and not promoted to {command.environment}: request "
            "its promotion first.",
            number=share.number,
        )
    if version.stage not in {"Validated", "Production"}:
        raise RuleBroken(
            "not_validated",
            f"Version {share.number} is {version.stage}: validate it first, because only Validated versions "
            "take part.",
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
    """Return whether the version may be champion there: it was promoted, and has not left since."""
    here = serving_key(environment, number)
    return state.versions[number].stage == "Production" and here in state.promoted and here not in state.left


def _check_cap(command: ChangeRollout, state: ModelState) -> None:
    not_granted = [
        s
        for s in command.shares
        if s.role == "challenger" and not _granted(state, command.environment, s.number)
    ]
    if sum(s.percent for s in not_granted) > CHALLENGER_CAP:
        named = ", ".join(str(s.number) for s in not_granted)
        raise RuleBroken(
            "challenger_cap",
            f"Versions that are not promoted to {command.environment} ({named}) may take at most "
            f"{CHALLENGER_CAP} percent together: lower their shares.",
        )


def _rises(share: Share, entries: Sequence[Entry]) -> bool:
    """Return whether the version gets a share, a larger one, or a role nearer to champion."""
    now = next((e for e in entries if e.number == share.number), None)
    return (
        now is None
        or share.percent > now.percent
        or ROLES_RISING.index(share.role) > ROLES_RISING.index(now.role)
    )


def archived_by(state: ModelState, changed: RolloutChanged | RolledBack) -> list[VersionArchived]:
    """Return the archiving of what left with this change, and of what waited there and was overtaken."""
    after = evolve(state, changed)
    left = [x.number for x in changed.previous if x not in changed.entries]
    overtaken = sorted(number for key, number in state.waiting.items() if key not in after.waiting)
    return archived(after, dict.fromkeys((*left, *overtaken)))


def archived(state: ModelState, numbers: Iterable[int]) -> list[VersionArchived]:
    """Return the archiving of those `numbers` that are in Production, serve nowhere and wait nowhere."""
    return [
        VersionArchived(state.model, number, version.semver)
        for number in numbers
        if (version := state.versions[number]).stage == "Production"
        and not rolled_out(state, number)
        and (
            version.recalled
            or not any(serving_key(environment, number) in state.waiting for environment in state.rollouts)
        )
    ]


def _documents(command: ChangeRollout, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    champions = (s.number for s in command.shares if s.role == "champion")
    return {at for number in champions for at in past.evidence_at(command.model_id, state, number)}


DECIDERS: Mapping[type, Joint[Any]] = {ChangeRollout: Joint(change, _documents)}
