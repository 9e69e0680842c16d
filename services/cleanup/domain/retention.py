"""Decide which versions of a model are marked, spared and proposed for retirement.

This service proposes and the registry decides: the registry checks again, in its own stream, everything
that protects a version.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, assert_never

from msgspec.structs import replace

from services.cleanup.domain import defaults
from services.cleanup.domain.noted import fold_noted
from services.cleanup.domain.policy import Reason
from services.cleanup.domain.retention_commands import (
    ChangeRetention,
    NoteRegistryEvent,
    ProposeRetirement,
    RecordUsage,
    SweepVersions,
)
from services.cleanup.domain.retention_events import (
    RetentionChanged,
    RetentionEvent,
    RetentionInherited,
    RetentionRemoved,
    RetirementProposed,
    UsageRecorded,
    VersionMarked,
    VersionSpared,
)
from services.cleanup.domain.retention_state import INITIAL, Mark, State, Use
from services.cleanup.domain.verdict import Judge, Verdict, still_marked
from shared.deciding.decider import Fold, Joint, RuleBroken, Stale, Streams, Unprocessable, category_of
from shared.deciding.events import Noted


def _note(command: NoteRegistryEvent, state: State) -> list[RetentionEvent]:
    if command.source.revision <= state.noted:
        return []
    return _and_unmark(state, Noted(command.source, command.leaf, command.data), command.now)


def _record(command: RecordUsage, state: State) -> list[RetentionEvent]:
    # A reporter's clock that runs ahead must not protect a version for years.
    used_at = min(command.window_end, command.now)
    before = state.uses.get(command.number, Use(0, used_at))
    day = used_at.astimezone(UTC).date().isoformat()
    event = UsageRecorded(
        model_id=command.model_id,
        number=command.number,
        environment=command.environment,
        endpoint=command.endpoint,
        window_start=command.window_start,
        window_end=command.window_end,
        count=command.count,
        day=day,
        day_total=state.uses_by_day.get(f"{command.number}/{day}", 0) + command.count,
        total=before.total + command.count,
        last_used_at=max(before.last_used_at, used_at),
    )
    return _and_unmark(state, event, command.now)


def _change(command: ChangeRetention, state: State) -> list[RetentionEvent]:
    if command.expected is not None and command.expected != state.policy_revision:
        raise Stale(
            "stale_policy",
            "The retention policy changed since you read it: read it again and repeat.",
            current=state.policy_revision,
        )
    if command.policy is None:
        removed = RetentionRemoved(command.model_id)
        return _and_unmark(state, removed, command.now) if state.policy_revision else []
    if not command.policy.is_valid:
        raise Unprocessable(
            "bad_retention_policy", "Give durations of at most 1e10 seconds, and a keep_newest of 0 or more."
        )
    if command.policy == state.policy and state.policy_revision:
        return []
    return _and_unmark(state, RetentionChanged(command.model_id, command.policy), command.now)


def _as_inherited(
    state: State, policies: defaults.Defaults, now: datetime
) -> tuple[State, list[RetentionEvent]]:
    """Return the state under the policy that the model inherits now, and the events that lead there."""
    found = defaults.inherited_now(policies, state.model)
    if found.policy == state.inherited or state.policy_revision:
        return state, []
    events = _and_unmark(state, RetentionInherited(state.model_id, found.source, found.policy), now)
    for event in events:
        state = evolve(state, event)
    return state, events


def _sweep(command: SweepVersions, state: State) -> list[RetentionEvent]:
    events: list[RetentionEvent] = []
    if state.policy.is_off:  # every version stays, and its mark has ended with the policy
        return events
    judge = Judge.at(command.now, state)
    for number in range(command.first, min(command.last, state.highest) + 1):
        version = state.versions.get(number)
        if version is None or version.retired:
            continue
        verdict = judge.verdict(number)
        if not verdict.reasons and (mark := state.marks.get(number)):
            events.append(spared(state, number, command.sweep_id, (still_marked(mark),), unmarked=False))
        else:
            events.append(judged(state, number, command.sweep_id, verdict, command.now))
    return events


def judged(
    state: State, number: int, sweep_id: str, verdict: Verdict, now: datetime
) -> VersionMarked | VersionSpared:
    """Return the event of a verdict on a version without a mark."""
    if verdict.reasons:
        return spared(state, number, sweep_id, verdict.reasons)
    return VersionMarked(
        model_id=state.model_id,
        model=state.model,
        number=number,
        semver=state.versions[number].semver,
        sweep_id=sweep_id,
        rule=verdict.rule,
        reason=verdict.detail,
        delete_after=now + timedelta(seconds=state.policy.grace_seconds),
    )


def spared(
    state: State, number: int, sweep_id: str, reasons: tuple[Reason, ...], *, unmarked: bool = True
) -> VersionSpared:
    """Return the event that a version stays. It ends the version's mark, unless `unmarked` is False."""
    return VersionSpared(
        model_id=state.model_id,
        model=state.model,
        number=number,
        semver=state.versions[number].semver,
        sweep_id=sweep_id,
        reasons=reasons,
        unmarked=unmarked and number in state.marks,
    )


def _propose(command: ProposeRetirement, state: State) -> list[RetentionEvent]:
    mark = state.marks.get(command.number)
    if mark is None or mark.proposed or mark.sweep_id != command.sweep_id:
        return []
    if command.now < mark.delete_after:  # by a clock that was set back: no outcome, so that it is tried again
        raise RuleBroken("not_due", f"The grace period ends at {mark.delete_after}: repeat then.")
    verdict = Judge.at(command.now, state).verdict(command.number)
    if verdict.reasons:
        return [spared(state, command.number, mark.sweep_id, verdict.reasons)]
    return [
        RetirementProposed(
            model_id=state.model_id,
            model=state.model,
            number=command.number,
            semver=state.versions[command.number].semver,
            sweep_id=mark.sweep_id,
            rule=verdict.rule,
            reason=verdict.detail,
        )
    ]


def _and_unmark(state: State, event: RetentionEvent, now: datetime) -> list[RetentionEvent]:
    """Return the event, and the end of every mark whose version now has a reason to stay.

    A version whose retirement is proposed keeps its mark: the registry decides on it.
    """
    if not state.marks:
        return [event]
    after = evolve(state, event)
    judge = Judge.at(now, after)
    ended: list[RetentionEvent] = []
    for number in _concerned(after, event, judge):
        mark = after.marks.get(number)
        if mark and not mark.proposed and (reasons := judge.verdict(number).reasons):
            ended.append(spared(after, number, mark.sweep_id, reasons))
    return [event, *ended]


def _concerned(state: State, event: RetentionEvent, judge: Judge) -> list[int]:
    """Return the versions that the event may give a reason to stay: few, unless the policy changed."""
    match event:
        case UsageRecorded():
            return [event.number]
        case Noted():
            named = {event.data.get(name) for name in ("number", "to_number")}
            return sorted({*judge.protection.by_number, *(n for n in named if isinstance(n, int))})
        case _:
            return sorted(state.marks)


def evolve(state: State, event: RetentionEvent) -> State:
    """Fold one event of `retention-<model_id>`."""
    state = replace(state, revision=state.revision + 1)
    match event:
        case Noted():
            return fold_noted(state, event)
        case UsageRecorded():
            used = state.uses.set(event.number, Use(event.total, event.last_used_at))
            by_day = state.uses_by_day.set(f"{event.number}/{event.day}", event.day_total)
            return replace(state, model_id=event.model_id, uses=used, uses_by_day=by_day)
        case RetentionChanged():
            return replace(
                state, model_id=event.model_id, policy=event.policy, policy_revision=state.revision
            )
        case RetentionRemoved():
            return replace(state, policy=state.inherited, policy_revision=0)
        case RetentionInherited():
            policy = state.policy if state.policy_revision else event.policy
            return replace(state, inherited=event.policy, policy=policy)
        case VersionMarked():
            mark = Mark(event.sweep_id, event.delete_after)
            return replace(state, marks=state.marks.set(event.number, mark))
        case VersionSpared():
            ends = event.unmarked and event.number in state.marks
            return replace(state, marks=state.marks.delete(event.number)) if ends else state
        case RetirementProposed():
            marked = state.marks.get(event.number)
            if marked is None:
                return state
            return replace(state, marks=state.marks.set(event.number, replace(marked, proposed=True)))
        case _:
            assert_never(event)


RETENTION: Fold[RetentionEvent, State] = Fold("retention", INITIAL, evolve)


def stream_of(model_id: str) -> str:
    return f"retention-{model_id}"


def _alone(decide: Callable[[Any, State], Sequence[RetentionEvent]]) -> Joint[Any]:
    """Return the decision of a command that needs the model's own stream only."""

    def decided(command: Any, streams: Streams) -> Mapping[str, Sequence[RetentionEvent]]:
        (stream,) = [name for name in streams.states if category_of(name) == RETENTION.category]
        return {stream: decide(command, streams.state(RETENTION, stream))}

    return Joint(decided)


def _under_defaults(decide: Callable[[Any, State], Sequence[RetentionEvent]]) -> Joint[Any]:
    """Return the decision of a command that needs the defaults, too."""

    def decided(command: Any, streams: Streams) -> Mapping[str, Sequence[RetentionEvent]]:
        stream = stream_of(command.model_id)
        policies = streams.state(defaults.DEFAULTS, defaults.STREAM)
        state, events = _as_inherited(streams.state(RETENTION, stream), policies, command.now)
        return {stream: [*events, *decide(command, state)]}

    return Joint(decided)


DECIDERS: Mapping[type, Joint[Any]] = {
    NoteRegistryEvent: _alone(_note),
    RecordUsage: _alone(_record),
    ChangeRetention: _alone(_change),
    SweepVersions: _under_defaults(_sweep),
    ProposeRetirement: _under_defaults(_propose),
}
