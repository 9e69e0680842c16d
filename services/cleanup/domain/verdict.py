"""Decide why a version stays, or by which rule it may be retired. Pure.

Time and use are judged by waits: each wait of a version must have passed before it may be retired. A
verdict in words is only written where it is recorded or shown; a plan over all versions compares the waits
alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from services.cleanup.domain.policy import Reason, RetentionPolicy
from services.cleanup.domain.protection import CANNOT_BE_USED, Protection
from services.cleanup.domain.retention_state import Mark, State, Use, Version


@dataclass(frozen=True, slots=True)
class Verdict:
    """All `reasons` to keep a version. Without one, `rule` and `detail` say why it may be retired."""

    reasons: tuple[Reason, ...]
    rule: str = ""
    detail: str = ""


@dataclass(frozen=True, slots=True)
class Wait:
    """How long a version is kept for one reason. A wait from before `passed_before` is over (None: never)."""

    code: str
    seconds: float | None
    passed_before: datetime | None

    @classmethod
    def at(cls, now: datetime, code: str, seconds: float | None) -> Wait:
        return cls(code, seconds, None if seconds is None else now - timedelta(seconds=seconds))


@dataclass(frozen=True, slots=True)
class Waits:
    """The waits of a policy at one moment."""

    unused: Wait
    unknown: Wait
    left_production: Wait
    cannot_be_used: dict[str, Wait]

    @classmethod
    def at(cls, now: datetime, policy: RetentionPolicy) -> Waits:
        return cls(
            Wait.at(now, "used_recently", policy.unused_seconds),
            Wait.at(now, "usage_unknown", policy.unknown_seconds),
            Wait.at(now, "left_production_recently", policy.left_production_seconds),
            {
                "Draft": Wait.at(now, "draft_recent", policy.draft_seconds),
                "Rejected": Wait.at(now, "rejected_recent", policy.rejected_seconds),
            },
        )

    def pending(self, version: Version, use: Use | None) -> Iterator[tuple[Wait, datetime]]:
        """Yield each wait of a version that has not passed, with the moment it started."""
        if (wait := self.cannot_be_used.get(version.stage)) is not None:
            since = version.registered_at
        elif use is not None:
            wait, since = self.unused, use.last_used_at
        else:
            wait, since = self.unknown, version.registered_at
        if wait.passed_before is None or since > wait.passed_before:
            yield wait, since
        left, wait = version.left_production_at, self.left_production
        if left is None or version.stage in self.cannot_be_used:
            return
        if wait.passed_before is None or left > wait.passed_before:
            yield wait, left


@dataclass(frozen=True, slots=True)
class Judge:
    """The rules of one model at one moment. Create it once for all versions."""

    state: State
    protection: Protection
    waits: Waits

    @classmethod
    def at(cls, now: datetime, state: State) -> Judge:
        return cls(state, Protection.of(state), Waits.at(now, state.policy))

    def stays(self, number: int, version: Version) -> bool:
        """Return whether there is a reason to keep a version that is not retired: `verdict` without words."""
        return (
            version.stage == "Production"
            or number in self.protection.by_number
            or next(self.waits.pending(version, self.state.uses.get(number)), None) is not None
        )

    def verdict(self, number: int) -> Verdict:
        """Return the verdict on one version in words.

        A version that is retired or was never noted gets a reason, never a rule.
        """
        version = self.state.versions.get(number)
        if version is None:
            return Verdict((Reason("not_known", "the registry has not announced it"),))
        if version.retired:
            return Verdict((Reason("already_retired", "it is retired already"),))
        use = self.state.uses.get(number)
        reasons = [Reason("in_production", "it is in Production")] if version.stage == "Production" else []
        reasons += self.protection.by_number.get(number, ())
        reasons += [_kept(wait, since) for wait, since in self.waits.pending(version, use)]
        return Verdict(tuple(reasons)) if reasons else Verdict((), *_rule(self.state.policy, version, use))


def still_marked(mark: Mark) -> Reason:
    """Return why a later run neither marks a marked version again nor ends its mark."""
    if mark.proposed:
        return Reason(
            "already_proposed",
            f"cleanup run {mark.sweep_id} proposed its retirement, and the registry has not answered",
        )
    return Reason(
        "already_marked",
        f"cleanup run {mark.sweep_id} marked it; it stays until {_moment(mark.delete_after)}",
    )


def _rule(policy: RetentionPolicy, version: Version, use: Use | None) -> tuple[str, str]:
    """Return the rule by which a version may be retired, and its detail."""
    registered = f"registered {_moment(version.registered_at)}"
    if rule := CANNOT_BE_USED.get(version.stage):
        seconds = policy.draft_seconds if rule == "draft" else policy.rejected_seconds
        return rule, f"a {rule} version, {registered}, more than {_words(seconds)} ago"
    if use is not None:
        last = f"last used {_moment(use.last_used_at)}"
        return "unused", f"{last}, more than {_words(policy.unused_seconds)} ago"
    return "unknown_usage", f"no use was ever reported; {registered}"


def _kept(wait: Wait, since: datetime) -> Reason:
    match wait.code:
        case "used_recently":
            detail = f"last used {_moment(since)}; kept {_words(wait.seconds, ' from then')}"
        case "usage_unknown":
            how_long = _words(wait.seconds, " from its registration")
            detail = f"no use was ever reported, which is unknown, not unused; kept {how_long}"
        case "left_production_recently":
            detail = f"left Production {_moment(since)}; kept {_words(wait.seconds, ' from then')}"
        case _:
            kind = wait.code.removesuffix("_recent")
            detail = f"a {kind} version is kept {_words(wait.seconds, ' from its registration')}"
    return Reason(wait.code, detail)


def _words(seconds: float | None, since: str = "") -> str:
    if seconds is None:
        return "permanently"
    days = seconds / 86_400
    return ("1 day" if days == 1 else f"{days:g} days" if days > 1 else f"{seconds:g} s") + since


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S} UTC"
