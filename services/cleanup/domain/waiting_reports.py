"""Reports of use that name a model of which no event was noted (`early-<name>`).

Topics are not ordered against each other, so a report may be read before the registration of its model. It
waits until the model is noted, or becomes a dead letter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from immutables import Map

from shared.deciding.decider import Decider, RuleBroken

LONGEST_WAIT = timedelta(days=1)
"""How long a report waits. The registry's events are never that late, so the name is wrong then."""

MOST_REPORTS = 1_000
"""Reports that wait for one name, so that a mistyped name fills neither the log nor memory."""


@dataclass(frozen=True, slots=True)
class ReportMessage:
    """A report as received, with signature and position on the topic: it may become a dead letter."""

    id: str
    source: str
    type: str
    subject: str
    time: str
    data: str
    datacontenttype: str
    dataschema: str | None
    extensions: dict[str, str]
    partition: int
    offset: int
    signer: str
    key_id: str
    trace: str


@dataclass(frozen=True, slots=True)
class ReportHeld:
    """The report waits for its model."""

    model: str
    report_id: str
    message: ReportMessage


@dataclass(frozen=True, slots=True)
class ReportPlaced:
    """The uses of the report were recorded on the stream of its model."""

    model: str
    report_id: str
    model_id: str


@dataclass(frozen=True, slots=True)
class ReportGivenUp:
    """The report is a dead letter."""

    model: str
    report_id: str
    why: str


WaitEvent = ReportHeld | ReportPlaced | ReportGivenUp


@dataclass(frozen=True, slots=True)
class HoldReport:
    """Let a report wait for its model."""

    model: str
    report_id: str
    message: ReportMessage


@dataclass(frozen=True, slots=True)
class EndWait:
    """End the wait: the report was placed on `model_id`, or is a dead letter ("") because of `why`."""

    model: str
    report_id: str
    model_id: str = ""
    why: str = ""


WaitCommand = HoldReport | EndWait


@dataclass(frozen=True, slots=True)
class WaitingReports:
    """The ids of the reports that wait for one name."""

    reports: Map[str, bool] = field(default_factory=Map)
    revision: int = 0


def decide(command: WaitCommand, state: WaitingReports) -> Sequence[WaitEvent]:
    """Return the events of `early-<name>` that follow from a command."""
    waits = command.report_id in state.reports
    match command:
        case HoldReport():
            if waits:
                return []
            if len(state.reports) >= MOST_REPORTS:
                raise RuleBroken(
                    "too_many_early_reports",
                    f"{MOST_REPORTS} reports wait for a model named {command.model!r} already: "
                    "replay this one once it is registered, or send its model_id.",
                    model=command.model,
                )
            return [ReportHeld(command.model, command.report_id, command.message)]
        case EndWait():
            if not waits:
                return []
            if command.model_id:
                return [ReportPlaced(command.model, command.report_id, command.model_id)]
            return [ReportGivenUp(command.model, command.report_id, command.why)]
        case _:
            assert_never(command)


def evolve(state: WaitingReports, event: WaitEvent) -> WaitingReports:
    """Fold one event of `early-<name>`."""
    state = replace(state, revision=state.revision + 1)
    match event:
        case ReportHeld():
            return replace(state, reports=state.reports.set(event.report_id, True))
        case ReportPlaced() | ReportGivenUp():
            if event.report_id not in state.reports:
                return state
            return replace(state, reports=state.reports.delete(event.report_id))
        case _:
            assert_never(event)


WAITING_REPORTS: Decider[WaitCommand, WaitEvent, WaitingReports] = Decider(
    "early", WaitingReports(), evolve, decide=decide
)


def stream_of(name: str) -> str:
    """Return the stream of the reports that wait for a name."""
    return f"early-{name}"
