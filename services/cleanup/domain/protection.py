"""Which versions of a model are protected, whatever their age and use.

The registry would refuse to retire most of them.
"""

from __future__ import annotations

from dataclasses import dataclass

from services.cleanup.domain.policy import Reason
from services.cleanup.domain.retention_state import Rollout, State

CANNOT_BE_USED = {"Draft": "draft", "Rejected": "rejected"}
"""Stages in which a version cannot be used, so that it may be retired by age alone."""


@dataclass(frozen=True, slots=True)
class Protection:
    """The reasons to keep each protected version at one moment.

    Compute it once for all versions of a model.
    """

    by_number: dict[int, list[Reason]]

    @classmethod
    def of(cls, state: State) -> Protection:
        """Return the protection that follows from the model's own stream."""
        found: dict[int, list[Reason]] = {}
        for environment, rollout in sorted(state.rollouts.items()):
            for number in rollout.entries:
                _add(found, number, "in_rollout", f"it is part of the rollout in {environment}")
            for number in _rollback_targets(state, environment, rollout):
                _add(found, number, "rollback_target", f"a rollback in {environment} would return to it")
        for alias, number in sorted(state.aliases.items()):
            _add(found, number, "aliased", f"the alias {alias} points to it")
        for number, why in sorted(state.holds.items()):
            hold = f"it is under legal hold: {why}" if why else "it is under legal hold"
            _add(found, number, "legal_hold", hold)
        for promotion, number in sorted(state.promotions.items()):
            _add(found, number, "open_promotion", f"the promotion {promotion} is still open")
        for key, number in sorted(state.children.items()):
            _add(found, number, "parent_of_live_version", f"{key.partition('/')[2]} is built on it")
        for number in newest(state, state.policy.keep_newest):
            _add(found, number, "among_newest", f"it is one of the newest {state.policy.keep_newest}")
        return cls(found)


def _add(found: dict[int, list[Reason]], number: int, code: str, detail: str) -> None:
    found.setdefault(number, []).append(Reason(code, detail))


def _rollback_targets(state: State, environment: str, rollout: Rollout) -> set[int]:
    """Return the previous champion, and the rollback target of each version in the rollout."""
    targets = {rollout.predecessor}
    for number in rollout.entries:
        seen = set[int]()
        while number and number not in seen:
            seen.add(number)
            number = state.served.get(f"{environment}/{number}", 0)  # noqa: PLW2901 - the walk
            if _can_return(state, environment, number):
                targets.add(number)
                break
    return targets - {0}


def _can_return(state: State, environment: str, number: int) -> bool:
    version = state.versions.get(number)
    return (
        version is not None
        and not version.retired
        and not version.recalled
        and f"{environment}/{number}" not in state.rolled_back
    )


def newest(state: State, count: int) -> list[int]:
    """Return the numbers of the newest `count` versions that could still serve."""
    found: list[int] = []
    number = state.highest
    while number and len(found) < count:
        version = state.versions.get(number)
        if version and version.stage not in CANNOT_BE_USED and not version.retired and not version.recalled:
            found.append(number)
        number -= 1
    return found
