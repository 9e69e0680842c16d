"""Decisions about one model's versions (`retention-<model_id>`): what is used, what is marked, what is spared, what is proposed.

cleanup proposes and registry decides: registry checks again, in its own stream, everything that protects a
version.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from msgspec import structs

from services.cleanup.domain.noted import note
from services.cleanup.domain.policy import Reason, RetentionPolicy
from services.cleanup.domain.reasons import GONE, Protection, judge, still_marked
from services.cleanup.domain.retention_state import (
    INITIAL,
    Mark,
    RetentionChanged,
    RetentionEvent,
    RetirementProposed,
    State,
    UsageRecorded,
    Use,
    VersionMarked,
    VersionSpared,
)
from shared.deciding.decider import NO_TIME, Decider, RuleBroken, Stale, Unprocessable
from shared.deciding.events import Noted, Source


@dataclass(frozen=True, slots=True)
class NoteRegistryEvent:
    """One of registry's events about this model arrived."""

    source: Source
    leaf: str
    data: dict[str, Any]
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class RecordUsage:
    model_id: str
    number: int
    count: int
    window_start: datetime
    window_end: datetime
    environment: str
    endpoint: str = ""
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class ChangeRetention:
    """`expected` is the policy's revision the caller saw (If-Match), None where it does not matter."""

    model_id: str
    policy: RetentionPolicy
    expected: int | None = None
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class SweepVersions:
    """Judge the versions numbered `first` to `last`, both included."""

    model_id: str
    sweep_id: str
    first: int
    last: int
    now: datetime = NO_TIME


@dataclass(frozen=True, slots=True)
class ProposeRetirement:
    """The grace period of a mark is over."""

    model_id: str
    number: int
    sweep_id: str
    now: datetime = NO_TIME


Command = NoteRegistryEvent | RecordUsage | ChangeRetention | SweepVersions | ProposeRetirement


def decide(command: Command, state: State) -> Sequence[RetentionEvent]:
    match command:
        case NoteRegistryEvent():
            return _note(command, state)
        case RecordUsage():
            return _record(command, state)
        case ChangeRetention():
            return _change(command, state)
        case SweepVersions():
            return _sweep(command, state)
        case ProposeRetirement():
            return _propose(command, state)
        case _:
            assert_never(command)


def _note(command: NoteRegistryEvent, state: State) -> list[RetentionEvent]:
    if command.source.revision <= state.noted:
        return []
    return _and_unmark(state, Noted(command.source, command.leaf, command.data), command.now)


def _record(command: RecordUsage, state: State) -> list[RetentionEvent]:
    used_at = min(
        command.window_end, command.now
    )  # a reporter's clock that runs ahead must not protect a version for years
    before = state.uses.get(command.number, Use(0, used_at))
    day = used_at.astimezone(UTC).date().isoformat()
    event = UsageRecorded(
        command.model_id,
        command.number,
        command.environment,
        command.endpoint,
        command.window_start,
        command.window_end,
        command.count,
        day,
        state.uses_by_day.get(f"{command.number}/{day}", 0) + command.count,
        before.total + command.count,
        max(before.last_used_at, used_at),
    )
    return _and_unmark(state, event, command.now)


def _change(command: ChangeRetention, state: State) -> list[RetentionEvent]:
    if command.expected is not None and command.expected != state.policy_revision:
        raise Stale(
            "stale_policy",
            "The retention policy changed since you read it: read it again and repeat.",
            current=state.policy_revision,
        )
    p = command.policy
    durations = (
        p.unused_seconds,
        p.left_production_seconds,
        p.unknown_seconds,
        p.draft_seconds,
        p.rejected_seconds,
        p.grace_seconds,
    )
    if any(d is not None and not 0 <= d <= 1e10 for d in durations) or p.keep_newest < 0:
        raise Unprocessable(
            "bad_retention_policy", "Durations are seconds from 0 to 1e10, keep_newest is 0 or more."
        )
    if p == state.policy and state.policy_revision:
        return []
    return _and_unmark(state, RetentionChanged(command.model_id, p), command.now)


def _sweep(command: SweepVersions, state: State) -> list[RetentionEvent]:
    protection = Protection.of(state)
    events: list[RetentionEvent] = []
    for number in range(command.first, min(command.last, state.highest) + 1):
        if number not in state.versions or state.versions[number].stage == GONE:
            continue
        verdict = judge(state, number, command.now, protection)
        if verdict.reasons:
            events.append(_spared(state, number, command.sweep_id, verdict.reasons))
        elif mark := state.marks.get(number):
            events.append(_spared(state, number, command.sweep_id, (still_marked(mark),), unmarked=False))
        else:
            delete_after = command.now + timedelta(seconds=state.policy.grace_seconds)
            semver = state.versions[number].semver
            events.append(
                VersionMarked(
                    state.model_id,
                    state.model,
                    number,
                    semver,
                    command.sweep_id,
                    verdict.rule,
                    verdict.detail,
                    delete_after,
                )
            )
    return events


def _propose(command: ProposeRetirement, state: State) -> list[RetentionEvent]:
    mark = state.marks.get(command.number)
    if mark is None or mark.proposed or mark.sweep_id != command.sweep_id:
        return []
    if command.now < mark.delete_after:  # by a clock that was set back: no outcome, so that it is tried again
        raise RuleBroken("not_due", f"the grace period ends at {mark.delete_after}")
    verdict = judge(state, command.number, command.now)
    if verdict.reasons:
        return [_spared(state, command.number, mark.sweep_id, verdict.reasons)]
    semver = state.versions[command.number].semver
    return [
        RetirementProposed(
            state.model_id, state.model, command.number, semver, mark.sweep_id, verdict.rule, verdict.detail
        )
    ]


def _and_unmark(state: State, event: RetentionEvent, now: datetime) -> list[RetentionEvent]:
    """The event, and the end of every mark that it speaks against.

    What is already proposed is in registry's hands.
    """
    after = evolve(state, event)
    if not after.marks:
        return [event]
    protection = Protection.of(after)
    spared: list[RetentionEvent] = []
    for number in _concerned(after, event, protection):
        mark = after.marks.get(number)
        if mark and not mark.proposed and (reasons := judge(after, number, now, protection).reasons):
            spared.append(_spared(after, number, mark.sweep_id, reasons))
    return [event, *spared]


def _concerned(state: State, event: RetentionEvent, protection: Protection) -> list[int]:
    """The versions whose verdict the event may have turned in their favour: few, however many are marked.

    Only a new policy may turn any.
    """
    match event:
        case UsageRecorded():
            return [event.number]
        case Noted():
            named = {event.data.get(name) for name in ("number", "to_number")}
            return sorted({*protection.by_number, *(n for n in named if isinstance(n, int))})
        case _:
            return sorted(state.marks)


def _spared(
    state: State, number: int, sweep_id: str, reasons: tuple[Reason, ...], *, unmarked: bool = True
) -> VersionSpared:
    ends = unmarked and number in state.marks
    return VersionSpared(
        state.model_id, state.model, number, state.versions[number].semver, sweep_id, reasons, ends
    )


def evolve(state: State, event: RetentionEvent) -> State:
    """The fold of `retention-<model_id>`."""
    state = replace(state, revision=state.revision + 1)
    match event:
        case Noted():
            return note(state, event)
        case UsageRecorded():
            used = state.uses.set(event.number, Use(event.total, event.last_used_at))
            by_day = state.uses_by_day.set(f"{event.number}/{event.day}", event.day_total)
            return replace(state, model_id=event.model_id, uses=used, uses_by_day=by_day)
        case RetentionChanged():
            return replace(
                state, model_id=event.model_id, policy=event.policy, policy_revision=state.revision
            )
        case VersionMarked():
            return replace(
                state, marks=state.marks.set(event.number, Mark(event.sweep_id, event.delete_after))
            )
        case VersionSpared():
            return (
                replace(state, marks=state.marks.delete(event.number))
                if event.unmarked and event.number in state.marks
                else state
            )
        case RetirementProposed():
            proposed = state.marks.get(event.number)
            return (
                replace(state, marks=state.marks.set(event.number, structs.replace(proposed, proposed=True)))
                if proposed
                else state
            )
        case _:
            assert_never(event)


RETENTION: Decider[Command, RetentionEvent, State] = Decider("retention", INITIAL, evolve, decide=decide)


def stream_of(model_id: str) -> str:
    """The stream of a model."""
    return f"retention-{model_id}"


def simulate(
    state: State, now: datetime, policy: RetentionPolicy | None = None
) -> list[VersionMarked | VersionSpared]:
    """The plan a sweep would make now, under another policy where one is given. Nothing is recorded."""
    state = replace(state, policy=policy) if policy else state
    plan = _sweep(
        SweepVersions(state.model_id, "simulation", 1, state.highest, now),
        replace(state, marks=INITIAL.marks),
    )
    return [event for event in plan if isinstance(event, VersionMarked | VersionSpared)]
