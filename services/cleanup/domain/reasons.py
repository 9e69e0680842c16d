"""Why a version stays, and by which rule it may go.

Protection first (what registry would refuse anyway), then time and use. Pure.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.cleanup.domain.policy import Reason, RetentionPolicy
from services.cleanup.domain.retention_state import Mark, Rollout, State, Version

DEAD_ENDS = {"Draft": "draft", "Rejected": "rejected"}
"""Stages in which a version cannot be used, so that no sign of use is needed to let it go."""

GONE = "Retired"


@dataclass(frozen=True, slots=True)
class Verdict:
    """`reasons` to stay, every one of them; with none, `rule` and `detail` say why it may go."""

    reasons: tuple[Reason, ...]
    rule: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Protection:
    """What protects which versions of a model at one moment; computed once for all of them."""

    by_number: dict[int, list[Reason]]

    @classmethod
    def of(cls, state: State) -> Protection:
        """Everything in the model's own stream that speaks for a version."""
        found: dict[int, list[Reason]] = {}
        for environment, rollout in sorted(state.rollouts.items()):
            for number in rollout.entries:
                _add(found, number, "in_rollout", f"it is part of the rollout in {environment}")
            for number in _rollback_targets(state, environment, rollout):
                _add(found, number, "rollback_target", f"a rollback in {environment} would return to it")
        for alias, number in sorted(state.aliases.items()):
            _add(found, number, "aliased", f"the alias {alias} points to it")
        for number, why in sorted(state.holds.items()):
            _add(
                found,
                number,
                "legal_hold",
                f"it is under legal hold: {why}" if why else "it is under legal hold",
            )
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
    """Who served just before, and where registry's own walk back from each version in the rollout ends: all are protected, registry picks."""
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
        and version.stage != GONE
        and not version.recalled
        and f"{environment}/{number}" not in state.rolled_back
    )


def newest(state: State, count: int) -> list[int]:
    """The numbers of the newest `count` versions that could still serve."""
    found: list[int] = []
    number = state.highest
    while number and len(found) < count:
        version = state.versions.get(number)
        if version and version.stage not in DEAD_ENDS and version.stage != GONE and not version.recalled:
            found.append(number)
        number -= 1
    return found


def judge(state: State, number: int, now: datetime, protection: Protection | None = None) -> Verdict:
    """The verdict on one version at `now`.

    Asking about a version that is gone or never noted gives a reason, never a rule.
    """
    version = state.versions.get(number)
    if version is None:
        return Verdict((Reason("not_known", "registry has not announced it"),))
    if version.stage == GONE:
        return Verdict((Reason("already_retired", "it is gone already"),))
    reasons = [Reason("in_production", "it is in Production")] if version.stage == "Production" else []
    reasons += (protection or Protection.of(state)).by_number.get(number, ())
    rule, detail, kept = _by_time(state, number, version, now)
    reasons += kept
    return Verdict(tuple(reasons)) if reasons else Verdict((), rule, detail)


def still_marked(mark: Mark) -> Reason:
    """Why a later sweep neither marks a version again nor spares it from the mark it has."""
    if mark.proposed:
        return Reason(
            "already_proposed",
            f"sweep {mark.sweep_id} proposed its retirement; registry has not answered yet",
        )
    return Reason(
        "already_marked", f"sweep {mark.sweep_id} marked it; it stays until {_moment(mark.delete_after)}"
    )


def _by_time(state: State, number: int, version: Version, now: datetime) -> tuple[str, str, list[Reason]]:
    """(rule, detail, reasons to stay) as far as time and use decide."""
    policy = state.policy
    if version.stage in DEAD_ENDS:
        return _dead_end(policy, version, now)
    kept: list[Reason] = []
    use = state.uses.get(number)
    if use is not None:
        last = f"last used {_moment(use.last_used_at)}"
        rule, detail = "unused", f"{last}, more than {_words(policy.unused_seconds)} ago"
        if not _past(use.last_used_at, policy.unused_seconds, now):
            kept.append(
                Reason("used_recently", f"{last}; kept {_words(policy.unused_seconds, ' from then')}")
            )
    else:
        rule, detail = (
            "unknown_usage",
            f"no use was ever reported; registered {_moment(version.registered_at)}",
        )
        if not _past(version.registered_at, policy.unknown_seconds, now):
            how_long = _words(policy.unknown_seconds, " from its registration")
            kept.append(
                Reason(
                    "usage_unknown",
                    f"no use was ever reported, which is unknown, not unused; kept {how_long}",
                )
            )
    if version.left_production_at is not None and not _past(
        version.left_production_at, policy.left_production_seconds, now
    ):
        how_long = _words(policy.left_production_seconds, " from then")
        kept.append(
            Reason(
                "left_production_recently",
                f"left Production {_moment(version.left_production_at)}; kept {how_long}",
            )
        )
    return rule, detail, kept


def _dead_end(policy: RetentionPolicy, version: Version, now: datetime) -> tuple[str, str, list[Reason]]:
    rule = DEAD_ENDS[version.stage]
    seconds = policy.draft_seconds if rule == "draft" else policy.rejected_seconds
    detail = f"a {rule} version, registered {_moment(version.registered_at)}, more than {_words(seconds)} ago"
    if _past(version.registered_at, seconds, now):
        return rule, detail, []
    return (
        rule,
        detail,
        [Reason(f"{rule}_recent", f"a {rule} version is kept {_words(seconds, ' from its registration')}")],
    )


def _past(since: datetime, seconds: float | None, now: datetime) -> bool:
    return seconds is not None and now - since >= timedelta(seconds=seconds)


def _words(seconds: float | None, since: str = "") -> str:
    if seconds is None:
        return "for ever"
    return (f"{seconds / 86_400:g} days" if seconds >= 86_400 else f"{seconds:g} s") + since


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
