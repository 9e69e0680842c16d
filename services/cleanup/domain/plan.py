"""The plan that a sweep of one model would make. Nothing is recorded."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from msgspec.structs import replace

from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention import judged
from services.cleanup.domain.retention_events import VersionMarked, VersionSpared
from services.cleanup.domain.retention_state import State
from services.cleanup.domain.verdict import Judge

SIMULATED = "simulation"
"""The sweep that a plan's verdicts name."""


@dataclass(frozen=True, slots=True)
class Plan:
    """The numbers of the versions that a sweep would mark, and of those it would spare.

    Marks of today do not count.
    """

    judge: Judge
    now: datetime
    marked: list[int]
    spared: list[int]

    def verdict(self, number: int) -> VersionMarked | VersionSpared:
        """Return the verdict on one version, in words."""
        return judged(self.judge.state, number, SIMULATED, self.judge.verdict(number), self.now)


def plan(state: State, now: datetime, policy: RetentionPolicy | None = None) -> Plan:
    """Return the plan of a sweep at `now`, under `policy` where one is given."""
    state = replace(state, policy=policy or state.policy, marks=type(state)().marks)
    judge = Judge.at(now, state)
    marked: list[int] = []
    spared: list[int] = []
    for number, version in sorted(state.versions.items(), key=_number):
        if not version.retired:
            (spared if judge.stays(number, version) else marked).append(number)
    return Plan(judge, now, marked, spared)


def _number(item: tuple[int, object]) -> int:
    return item[0]
