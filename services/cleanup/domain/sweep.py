"""A sweep over all models (`sweep-<id>`): scheduled once a month or asked for, then worked off in bounded chunks.

The id of a scheduled sweep is its period (`2026-12`), so that any number of replicas plan it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, assert_never

from shared.deciding.decider import Decider


@dataclass(frozen=True, slots=True)
class SweepScheduled:
    sweep_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class SweepPlanned:
    """`model_id` limits the sweep to one model; empty for all."""

    sweep_id: str
    trigger: Literal["schedule", "demand"]
    model_id: str


@dataclass(frozen=True, slots=True)
class SweepAdvanced:
    """All up to this place was judged; `chunk` is the next one's number, `scope` the sweep's own limit.

    The figures are totals so far.
    """

    sweep_id: str
    scope: str
    chunk: int
    model_id: str
    number: int
    models: int
    versions: int


@dataclass(frozen=True, slots=True)
class SweepFinished:
    sweep_id: str
    models: int
    versions: int


SweepEvent = SweepScheduled | SweepPlanned | SweepAdvanced | SweepFinished


@dataclass(frozen=True, slots=True)
class ScheduleSweep:
    sweep_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class PlanSweep:
    sweep_id: str
    trigger: Literal["schedule", "demand"]
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class AdvanceSweep:
    """A chunk was worked off: `models` and `versions` more, up to this place.

    `chunk` counts from 0, so that none counts twice.
    """

    sweep_id: str
    chunk: int
    model_id: str
    number: int
    models: int
    versions: int
    finished: bool


Command = ScheduleSweep | PlanSweep | AdvanceSweep


@dataclass(frozen=True, slots=True)
class State:
    phase: Literal["none", "scheduled", "planned", "finished"] = "none"
    scope: str = ""
    chunks: int = 0
    models: int = 0
    versions: int = 0
    revision: int = 0


def decide(command: Command, state: State) -> Sequence[SweepEvent]:
    match command:
        case ScheduleSweep():
            return [SweepScheduled(command.sweep_id, command.due_at)] if state.phase == "none" else []
        case PlanSweep():
            return (
                [SweepPlanned(command.sweep_id, command.trigger, command.model_id)]
                if state.phase in {"none", "scheduled"}
                else []
            )
        case AdvanceSweep():
            return _advance(command, state)
        case _:
            assert_never(command)


def _advance(command: AdvanceSweep, state: State) -> list[SweepEvent]:
    if state.phase != "planned" or command.chunk != state.chunks:
        return []
    models, versions = state.models + command.models, state.versions + command.versions
    if command.finished:
        return [SweepFinished(command.sweep_id, models, versions)]
    return [
        SweepAdvanced(
            command.sweep_id,
            state.scope,
            command.chunk + 1,
            command.model_id,
            command.number,
            models,
            versions,
        )
    ]


def evolve(state: State, event: SweepEvent) -> State:
    state = replace(state, revision=state.revision + 1)
    match event:
        case SweepScheduled():
            return replace(state, phase="scheduled")
        case SweepPlanned():
            return replace(state, phase="planned", scope=event.model_id)
        case SweepAdvanced():
            return replace(state, chunks=event.chunk, models=event.models, versions=event.versions)
        case SweepFinished():
            return replace(state, phase="finished", models=event.models, versions=event.versions)
        case _:
            assert_never(event)


SWEEP: Decider[Command, SweepEvent, State] = Decider("sweep", State(), evolve, decide=decide)


def stream_of(sweep_id: str) -> str:
    """The stream of a sweep."""
    return f"sweep-{sweep_id}"


def next_period(now: datetime) -> tuple[str, datetime]:
    """The coming month's sweep and the moment it is due: the first of the month, 00:00 UTC."""
    now = now.astimezone(UTC)
    due = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return f"{due:%Y-%m}", due


@dataclass(frozen=True, slots=True)
class Range:
    """Versions `first` to `last` of one model, for one transaction."""

    model_id: str
    first: int
    last: int


def chunk(
    models: Iterable[tuple[str, int]], after: tuple[str, int], *, versions: int = 2000, size: int = 500
) -> tuple[list[Range], tuple[str, int] | None]:
    """The next ranges to judge, and the place to go on from (None: that was all).

    `models` yields (id, highest number) from the model of `after` on, in order of ids. No range exceeds
    `size`, no chunk `versions` by more than one range, so one model with 100,000 versions is as bounded as
    100,000 models with one.
    """
    ranges: list[Range] = []
    taken = 0
    for model_id, highest in models:
        first = after[1] + 1 if model_id == after[0] else 1
        while first <= highest:
            if taken >= versions:
                return ranges, (model_id, first - 1)
            last = min(first + size - 1, highest)
            ranges.append(Range(model_id, first, last))
            taken += last - first + 1
            first = last + 1
    return ranges, None
