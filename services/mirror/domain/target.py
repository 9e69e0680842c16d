"""Decide about one target: what is requested, what became of it, when it is tried again."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import timedelta
from typing import assert_never

from regista.wire.names import may_exist
from services.mirror.domain import target_commands as c
from services.mirror.domain import target_events as e
from services.mirror.domain.target_commands import TargetCommand
from services.mirror.domain.target_events import TargetEvent
from services.mirror.domain.target_state import INITIAL, RANK, Copy, Target, evolve, key_of
from shared.deciding.access import EVERYWHERE, covers
from shared.deciding.decider import Decider, NotFound, RuleBroken, Unprocessable

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 1800.0
"""Seconds between a failed attempt and the next one of the target: the first doubles up to the longest."""
MOST_ATTEMPTS = 50
"""Failed attempts of one version, about a day. Then it is left until it is requested again."""
LONGEST_REST = 86_400.0
"""The longest `Retry-After` that is kept, in seconds."""
MOST_NAMESPACES = 100
DETAIL = 1_000
"""Characters of a failure that an event keeps."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,39}", re.ASCII)


def stream_of(target: str) -> str:
    """Return the stream of a target."""
    return f"mirror-{target}"


def is_mirrored(namespaces: Sequence[str], namespace: str) -> bool:
    """Return whether models of this namespace are mirrored by a target with these namespaces."""
    return any(one == EVERYWHERE or covers(one, namespace) for one in namespaces)


def pause_after(failures: int, retry_after: float | None) -> timedelta:
    """Return how long the target rests after so many failed attempts in a row."""
    own = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(failures - 1, 20))
    return timedelta(seconds=max(own, min(retry_after or 0.0, LONGEST_REST)))


def decide(command: TargetCommand, state: Target) -> Sequence[TargetEvent]:
    """Return the events of a command. Results for a target that was removed meanwhile have none."""
    match command:
        case c.SetTarget():
            return _set(command, state)
        case c.RemoveTarget():
            if not state.kind:
                raise unknown(command.target)
            return [e.MirrorTargetRemoved(command.target)]
        case c.BeginCheck():
            return _check(command, state)
        case _ if not state.kind:
            return []
        case c.FinishSurvey():
            return [e.MirrorSurveyed(command.target, command.requested)]
        case c.RequestVersion():
            return _request(command, state)
        case c.AdvanceCheck():
            return _advance(command, state)
        case c.RecordDrift():
            return _drift(command, state)
        case c.RecordMirrored() | c.DeferVersion() | c.RecordFailure():
            copy = state.copies.get(key_of(command.model_id, command.number))
            return [_result(command, state, copy)] if copy is not None and copy.status == "due" else []
        case _:
            assert_never(command)


def unknown(target: str) -> NotFound:
    """Return the error about a target that is not set."""
    return NotFound(
        "unknown_mirror_target",
        f"There is no target {target!r:.60}: choose one of the list.",
        listed_at="/v1/mirrors",
    )


def check_name(target: str) -> None:
    """Raise Unprocessable for what is no name of a target."""
    if not NAME.fullmatch(target):
        raise Unprocessable(
            "invalid_mirror_target",
            "A target's name has up to 40 small letters, digits and dashes; the first is no dash.",
        )


def _set(command: c.SetTarget, state: Target) -> Sequence[TargetEvent]:
    check_name(command.target)
    if command.from_stage not in RANK:
        raise Unprocessable(
            "invalid_mirror_stage",
            f"Versions are mirrored from one of {', '.join(RANK)} on: name one of these.",
        )
    wrong = [n for n in command.namespaces if n != EVERYWHERE and not may_exist(n)]
    if wrong or not 0 < len(command.namespaces) <= MOST_NAMESPACES:
        raise Unprocessable(
            "invalid_namespace",
            f"Name 1 to {MOST_NAMESPACES} namespaces, such as fraud, or * for all"
            + (f"; {wrong[0]!r:.60} is none." if wrong else "."),
        )
    if state.kind and state.kind != command.kind:
        raise RuleBroken(
            "mirror_kind_fixed",
            f"{command.target} is a target of kind {state.kind}: remove it first, or choose another name.",
        )
    namespaces = tuple(sorted(set(command.namespaces)))
    if (state.namespaces, state.from_stage) == (namespaces, command.from_stage):
        return []
    first = state.first_request if state.kind else state.requests + 1
    return [e.MirrorTargetSet(command.target, command.kind, namespaces, command.from_stage, first)]


def _request(command: c.RequestVersion, state: Target) -> Sequence[TargetEvent]:
    known = state.copies.get(key_of(command.model_id, command.number))
    if known is None:
        if RANK.get(command.enters, 0) < RANK[state.from_stage] or not command.model:
            return []
    elif command.only and known.status != ("absent" if command.only == "new" else command.only):
        return []
    next_at = max(command.now, state.rests_until) if state.rests_until else command.now
    return [
        e.MirrorRequested(
            command.target,
            command.model_id,
            command.model or (known.model if known else ""),
            command.number,
            state.requests + 1,
            command.why,
            next_at,
        )
    ]


def _result(
    command: c.RecordMirrored | c.DeferVersion | c.RecordFailure, state: Target, copy: Copy
) -> TargetEvent:
    again = command.request < copy.request
    left = state.due - 1
    match command:
        case c.RecordFailure():
            return _failure(command, state, copy)
        case c.RecordMirrored():
            return e.Mirrored(
                command.target,
                copy.model_id,
                command.model,
                copy.number,
                command.semver,
                command.stage,
                command.name,
                command.address,
                command.aliases,
                command.position,
                command.written,
                again,
                command.now if left or again else None,
            )
        case c.DeferVersion():
            return e.MirrorDeferred(
                command.target,
                copy.model_id,
                copy.model,
                copy.number,
                command.status,
                command.reason[:DETAIL],
                again,
                command.now if left or again else None,
            )
        case _:
            assert_never(command)


def _failure(command: c.RecordFailure, state: Target, copy: Copy) -> e.MirrorFailed:
    """Return the event of a failed attempt. The target rests only after one that repeating can mend."""
    attempt = copy.attempts + 1
    again = command.request < copy.request
    gave_up = not again and (not command.retry or attempt >= MOST_ATTEMPTS)
    left = state.due - 1 + (not gave_up)
    pause = pause_after(state.failures + 1, command.retry_after) if command.retry else timedelta()
    return e.MirrorFailed(
        command.target,
        copy.model_id,
        copy.model,
        copy.number,
        command.code,
        command.detail[:DETAIL],
        attempt,
        gave_up,
        command.now + pause if left else None,
    )


def _check(command: c.BeginCheck, state: Target) -> Sequence[TargetEvent]:
    if not state.kind:
        raise unknown(command.target)
    if state.check_id:
        if state.check_repairs == command.repair:
            return []
        raise RuleBroken(
            "mirror_check_runs",
            "A check of the target runs: wait until `regista mirror status` shows its end, then repeat.",
        )
    return [e.MirrorCheckRequested(command.target, command.check_id, command.repair)]


def _advance(command: c.AdvanceCheck, state: Target) -> Sequence[TargetEvent]:
    if state.check_id != command.check_id:
        return []
    facts = (command.target, command.check_id, state.check_repairs)
    if command.finished or command.problem:
        return [e.MirrorChecked(*facts, command.compared, command.drifted, command.problem[:DETAIL])]
    return [
        e.MirrorCheckAdvanced(*facts, command.model_id, command.number, command.compared, command.drifted)
    ]


def _drift(command: c.RecordDrift, state: Target) -> Sequence[TargetEvent]:
    copy = state.copies.get(key_of(command.model_id, command.number))
    if copy is None or copy.status == "due" or state.check_id != command.check_id:
        return []
    next_at = max(command.now, state.rests_until) if state.rests_until else command.now
    return [
        e.MirrorDrifted(
            command.target,
            copy.model_id,
            copy.model,
            copy.number,
            command.check_id,
            command.differences,
            command.repair,
            next_at if state.due or command.repair else None,
        )
    ]


TARGET: Decider[TargetCommand, TargetEvent, Target] = Decider("mirror", INITIAL, evolve, decide=decide)
