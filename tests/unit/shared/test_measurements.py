"""Metrics of what changes slowly: measured now and then, NaN when that fails, and never 0 by mistake."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from prometheus_client import Gauge

from shared import measurements
from shared.http.app import App
from shared.measurements import Measurement, Measurements, disks

APP = cast("App", None)


def values(gauge: Gauge) -> dict[str, float]:
    return {next(iter(s.labels.values())): s.value for family in gauge.collect() for s in family.samples}


def answering(*answers: Mapping[str, float] | Exception) -> Callable[[App], Awaitable[Mapping[str, float]]]:
    left = list(answers)

    async def measure(_: App) -> Mapping[str, float]:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return measure


def gauge() -> Gauge:
    return Gauge("tests_of_measurements", "for one test", ["kind"], registry=None)


async def test_a_gauge_shows_nothing_before_the_first_measurement_and_then_each_value() -> None:
    shown = gauge()
    assert values(shown) == {}
    await Measurements(APP, []).take(Measurement(shown, answering({"a": 1, "b": 0})))
    assert values(shown) == {"a": 1, "b": 0}


async def test_what_is_gone_is_zero() -> None:
    shown, taking = gauge(), Measurements(APP, [])
    measurement = Measurement(shown, answering({"a": 1, "b": 2}, {"b": 2}))
    await taking.take(measurement)
    await taking.take(measurement)
    assert values(shown) == {"a": 0, "b": 2}


@pytest.mark.parametrize("error", [ConnectionError("refused"), ValueError("a defect"), TimeoutError()])
async def test_what_cannot_be_measured_is_not_a_number_until_it_can(error: Exception) -> None:
    shown, taking = gauge(), Measurements(APP, [])
    measurement = Measurement(shown, answering({"a": 1}, error, {"a": 2}))
    await taking.take(measurement)
    await taking.take(measurement)
    assert math.isnan(values(shown)["a"])
    await taking.take(measurement)
    assert values(shown) == {"a": 2}


async def test_a_measurement_that_hangs_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    async def hangs(_: App) -> Mapping[str, float]:
        await asyncio.Event().wait()
        return {}

    monkeypatch.setattr(measurements, "LONGEST", 0.01)
    await Measurements(APP, []).take(Measurement(gauge(), hangs))


async def test_two_measurements_of_one_gauge_keep_their_own_labels(tmp_path: Path) -> None:
    one, other = disks({"temporary": tmp_path}), disks({"artifacts": tmp_path})
    taking = Measurements(APP, [])
    for measurement in [*one, *other, *one]:
        await taking.take(measurement)
    for metric in (measurements.FREE, measurements.TOTAL):
        assert {label: value > 0 for label, value in values(metric).items()} == {
            "temporary": True,
            "artifacts": True,
        }


async def test_measuring_pauses_for_a_minute_and_longer_when_it_took_long(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock, pauses = [0.0], list[float]()

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        if len(pauses) == 2:
            raise asyncio.CancelledError

    async def slow(_: App) -> Mapping[str, float]:
        clock[0] += 3.0 * len(pauses)
        return {}

    stand_in: Any = type("Time", (), {"monotonic": staticmethod(lambda: clock[0])})
    monkeypatch.setattr(measurements, "time", stand_in)
    monkeypatch.setattr(measurements.asyncio, "sleep", pause)
    with pytest.raises(asyncio.CancelledError):
        await Measurements(APP, [Measurement(gauge(), slow)]).run()
    assert pauses == [60.0, 300.0]
