"""Lay out a line chart as numbers: the template draws it as SVG, without a script and without a style."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 760, 180
LEFT, RIGHT, TOP, BOTTOM = 56, 16, 12, 28


@dataclass(frozen=True, slots=True)
class Point:
    """A value of one version."""

    number: int
    value: float
    label: str
    independent: bool


@dataclass(frozen=True, slots=True)
class Placed:
    """A point with its position in the picture."""

    x: float
    y: float
    point: Point


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart: its points, and the lines of the scale with their values."""

    points: Sequence[Placed]
    scale: Sequence[tuple[float, str]]

    @property
    def line(self) -> str:
        """The points as SVG's `points`."""
        return " ".join(f"{p.x:.1f},{p.y:.1f}" for p in self.points)


def chart(points: Sequence[Point]) -> Chart:
    """Return the chart of values in the order of their versions."""
    values = [p.value for p in points]
    low, high = min(values), max(values)
    margin = (high - low) * 0.15 or abs(high) * 0.05 or 1.0
    low, high = low - margin, high + margin
    width, height = WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM

    def y(value: float) -> float:
        return TOP + height * (high - value) / (high - low)

    step = width / max(1, len(points) - 1)
    placed = [
        Placed(LEFT + (step * at if len(points) > 1 else width / 2), y(p.value), p)
        for at, p in enumerate(points)
    ]
    marks = [low + (high - low) * part / 3 for part in range(4)]
    return Chart(placed, [(y(mark), f"{mark:.4g}") for mark in marks])
