from __future__ import annotations

from datetime import UTC, datetime

from hypothesis import given
from hypothesis import strategies as st

from services.cleanup.domain.sweep import (
    AdvanceSweep,
    PlanSweep,
    Range,
    ScheduleSweep,
    SweepAdvanced,
    SweepFinished,
    SweepPlanned,
    SweepState,
    chunk,
    decide,
    evolve,
    next_period,
)
from services.cleanup.due_work import begin_sweep
from shared.log.due_work import DueRow

DUE = datetime(2026, 12, 1, tzinfo=UTC)


def after(*commands):
    state = SweepState()
    for command in commands:
        for event in decide(command, state):
            state = evolve(state, event)
    return state


def test_a_period_is_scheduled_once_by_however_many_replicas():
    state = after(ScheduleSweep("2026-12", DUE))
    assert state.phase == "scheduled"
    assert decide(ScheduleSweep("2026-12", DUE), state) == []


async def test_a_period_schedules_the_next_one_independently_of_the_local_clock():
    """Due in the future, as it looks from a clock that runs behind the database's."""
    due_at = datetime(2999, 12, 1, tzinfo=UTC)
    scheduled, planned = await begin_sweep(DueRow("cleanup", "sweep", "2999-12", due_at, {}))
    assert scheduled.command == ScheduleSweep("3000-01", datetime(3000, 1, 1, tzinfo=UTC))
    assert planned.command == PlanSweep("2999-12", "schedule")


def test_a_scheduled_sweep_is_planned_once():
    state = after(ScheduleSweep("2026-12", DUE))
    [planned] = decide(PlanSweep("2026-12", "schedule"), state)
    assert isinstance(planned, SweepPlanned)
    assert decide(PlanSweep("2026-12", "schedule"), evolve(state, planned)) == []


def test_chunks_add_up_and_a_repeated_chunk_counts_once():
    planned = after(PlanSweep("s", "demand"))
    first = AdvanceSweep("s", 0, "m1", 500, 1, 500, finished=False)
    [advanced] = decide(first, planned)
    assert advanced == SweepAdvanced("s", "", 1, "m1", 500, 1, 500)
    state = evolve(planned, advanced)
    assert decide(first, state) == []
    assert decide(AdvanceSweep("s", 1, "", 0, 2, 30, finished=True), state) == [SweepFinished("s", 3, 530)]


def test_a_finished_sweep_stays_finished():
    state = after(PlanSweep("s", "demand"), AdvanceSweep("s", 0, "", 0, 0, 0, finished=True))
    assert decide(PlanSweep("s", "demand"), state) == []
    assert decide(AdvanceSweep("s", 0, "", 0, 0, 0, finished=True), state) == []


def test_the_next_period_is_the_first_of_the_coming_month_also_over_new_year():
    assert next_period(datetime(2026, 11, 23, 5, tzinfo=UTC)) == ("2026-12", DUE)
    assert next_period(datetime(2026, 12, 1, tzinfo=UTC)) == ("2027-01", datetime(2027, 1, 1, tzinfo=UTC))


@given(
    models=st.lists(st.integers(0, 40), max_size=12),
    versions=st.integers(1, 50),
    size=st.integers(1, 20),
)
def test_chunk_after_chunk_every_version_is_judged_exactly_once_in_bounded_ranges(models, versions, size):
    all_models = [(f"m{i:02}", highest) for i, highest in enumerate(models)]
    position: tuple[str, int] | None = ("", 0)
    judged: list[tuple[str, int]] = []
    rounds = 0
    while position is not None:
        ranges, position = chunk(
            [m for m in all_models if m[0] >= position[0]], position, versions=versions, size=size
        )
        assert all(isinstance(r, Range) and 0 <= r.last - r.first < size for r in ranges)
        assert sum(r.last - r.first + 1 for r in ranges) < versions + size
        judged += [(r.model_id, n) for r in ranges for n in range(r.first, r.last + 1)]
        rounds += 1
        assert rounds < 1000
    assert judged == [(m, n) for m, highest in all_models for n in range(1, highest + 1)]
