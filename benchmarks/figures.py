"""The result of a measurement: a value, its target, and the limit measured beside it in the same run."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[1] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True)
class Figure:
    """One line of the table.

    `limit` is what the same machine did in the same run without our code; the ratio travels, the value does
    not.
    """

    measure: str
    value: float
    unit: str
    target: float
    limit: str = ""
    limit_value: float = 0.0
    smaller_is_better: bool = False
    note: str = ""

    @property
    def met(self) -> bool:
        return self.value <= self.target if self.smaller_is_better else self.value >= self.target

    def row(self) -> str:
        beside = (
            f"{self.limit}: {self.limit_value:,.0f} ({self.value / self.limit_value:.0%})"
            if self.limit_value
            else self.limit
        )
        sign = "≤" if self.smaller_is_better else "≥"
        met = "yes" if self.met else "**no**"
        measured, target = f"{_rounded(self.value)} {self.unit}", f"{sign} {_rounded(self.target)}"
        return f"| {self.measure} | {measured} | {target} | {met} | {beside} | {self.note} |"


def _rounded(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:,.2f}"


HEAD = """# Benchmarks

`make bench` repeats all of this and rewrites this page.
`make bench ARGS="resolve long_model"` runs only the named modules of `benchmarks/` and prints their lines.
Absolute values depend on the machine below. Compare the ratio to the limit that the same run measured.

Load, services and servers share the machine's cores. PostgreSQL keeps `fsync` on.
What bounds the figures that are missed: [performance.md](performance.md).
"""


def write(figures: Sequence[Figure], took: float) -> None:
    """Write docs/benchmarks.md."""
    cores = len(os.sched_getaffinity(0))
    system = f"Python {platform.python_version()}, {platform.system()} {platform.machine()}"
    machine = f"{time.strftime('%Y-%m-%d')}, {cores} cores, {system}, {took:.0f} s in all."
    table = [
        "| measure | measured | target | met | limit beside it | note |",
        "|---|---|---|---|---|---|",
        *(figure.row() for figure in figures),
    ]
    DOCUMENT.write_text("\n".join([HEAD, machine, "", *table, ""]), "utf-8")
