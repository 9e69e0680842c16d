"""A sweep over all models or one (`sweep-<id>`), monthly or on request, worked off in chunks.

The id of a scheduled sweep is its period (`2026-12`), so any number of replicas plan it once.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Literal, assert_never

from shared.deciding.decider import Decider


@dataclass(frozen=True, slots=True)
class SweepScheduled:
    """The sweep of a month will be planned at `due_at`."""

    sweep_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class SweepPlanned:
    """The sweep begins. `model_id` limits it to one model; "" for all."""

    sweep_id: str
    trigger: Literal["schedule", "demand"]
    model_id: str


@dataclass(frozen=True, slots=True)
class SweepAdvanced:
    """Every version up to this model and number was judged.

    `chunk` is the number of the next chunk, `scope` the model that limits the sweep. The figures are totals.
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
    """Every version was judged."""

    sweep_id: str
    models: int
    versions: int


SweepEvent = SweepScheduled | SweepPlanned | SweepAdvanced | SweepFinished


@dataclass(frozen=True, slots=True)
class ScheduleSweep:
    """Schedule the sweep of a month."""

    sweep_id: str
    due_at: datetime


@dataclass(frozen=True, slots=True)
class PlanSweep:
    """Begin a sweep."""

    sweep_id: str
    trigger: Literal["schedule", "demand"]
    model_id: str = ""


@dataclass(frozen=True, slots=True)
class AdvanceSweep:
    """Record that a chunk was worked off: `models` and `versions` more, up to this model and number.

    `chunk` counts from 0, so that no chunk counts twice.
    """

    sweep_id: str
    chunk: int
    model_id: str
    number: int
    models: int
    versions: int
    finished: bool


SweepCommand = ScheduleSweep | PlanSweep | AdvanceSweep


@dataclass(frozen=True, slots=True)
class SweepState:
    """How far a sweep is. `scope` is the model that limits it; `chunks` counts those worked off."""

    phase: Literal["none", "scheduled", "planned", "finished"] = "none"
    scope: str = ""
    chunks: int = 0
    models: int = 0
    versions: int = 0
    revision: int = 0


def decide(command: SweepCommand, state: SweepState) -> Sequence[SweepEvent]:
    """Return the events of `sweep-<id>` that follow from a command."""
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


def _advance(command: AdvanceSweep, state: SweepState) -> list[SweepEvent]:
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


def evolve(state: SweepState, event: SweepEvent) -> SweepState:
    """Fold one event of `sweep-<id>`."""
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


SWEEP: Decider[SweepCommand, SweepEvent, SweepState] = Decider("sweep", SweepState(), evolve, decide=decide)


def stream_of(sweep_id: str) -> str:
    return f"sweep-{sweep_id}"


def next_period(now: datetime) -> tuple[str, datetime]:
    """Return the id of next month's sweep and the moment it is due: the first of the month, 00:00 UTC."""
    now = now.astimezone(UTC)
    due = datetime(now.year + now.month // 12, now.month % 12 + 1, 1, tzinfo=UTC)
    return f"{due:%Y-%m}", due


@dataclass(frozen=True, slots=True)
class Range:
    """Versions `first` to `last` of one model, judged in one transaction."""

    model_id: str
    first: int
    last: int


def chunk(
    models: Iterable[tuple[str, int]], after: tuple[str, int], *, versions: int = 2000, size: int = 500
) -> tuple[list[Range], tuple[str, int] | None]:
    """Return the next ranges to judge, and the model and number to continue after (None: the last chunk).

    `models` yields (id, highest number) from the model of `after` on, in order of ids. A range has at most
    `size` versions, and a chunk at most one range more than `versions`. So one model with 100,000 versions
    is as bounded as 100,000 models with one.
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
