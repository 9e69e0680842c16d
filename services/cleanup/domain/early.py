"""Reports of use that name a model nobody has told of yet (`early-<name>`): they wait until it is noted, or are given up.

Topics are not ordered against each other: a report may be read before the model's registration, by a second
or by an outage.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import assert_never

from immutables import Map

from shared.deciding.decider import Decider, RuleBroken

PATIENCE = timedelta(days=1)
"""How long a report waits.

Longer than registry's events are ever late; a name still unknown then is a wrong one.
"""

MOST = 1_000
"""Reports that wait for one name: a mistyped one fills neither the log nor memory."""


@dataclass(frozen=True, slots=True)
class Message:
    """A report as it came, signature and all, with its place on the topic: it may have to go to the dead letters."""

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
    model: str
    report_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class ReportPlaced:
    """Its uses were recorded, on the stream of the model that the name turned out to be."""

    model: str
    report_id: str
    model_id: str


@dataclass(frozen=True, slots=True)
class ReportGivenUp:
    """It is among the dead letters."""

    model: str
    report_id: str
    why: str


EarlyEvent = ReportHeld | ReportPlaced | ReportGivenUp


@dataclass(frozen=True, slots=True)
class HoldReport:
    model: str
    report_id: str
    message: Message


@dataclass(frozen=True, slots=True)
class EndWait:
    """The report was placed on `model_id`, or given up ("") because of `why`."""

    model: str
    report_id: str
    model_id: str = ""
    why: str = ""


Command = HoldReport | EndWait


@dataclass(frozen=True, slots=True)
class Waiting:
    """`reports` are the ids of those that wait for this name."""

    reports: Map[str, bool] = field(default_factory=Map)
    revision: int = 0


def decide(command: Command, state: Waiting) -> Sequence[EarlyEvent]:
    waits = command.report_id in state.reports
    match command:
        case HoldReport():
            if waits:
                return []
            if len(state.reports) >= MOST:
                raise RuleBroken(
                    "too_many_early_reports",
                    f"{MOST} reports wait for a model named {command.model!r} already: replay this one once it is registered, or send its model_id.",
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


def evolve(state: Waiting, event: EarlyEvent) -> Waiting:
    state = replace(state, revision=state.revision + 1)
    match event:
        case ReportHeld():
            return replace(state, reports=state.reports.set(event.report_id, True))
        case ReportPlaced() | ReportGivenUp():
            return (
                replace(state, reports=state.reports.delete(event.report_id))
                if event.report_id in state.reports
                else state
            )
        case _:
            assert_never(event)


EARLY: Decider[Command, EarlyEvent, Waiting] = Decider("early", Waiting(), evolve, decide=decide)


def stream_of(name: str) -> str:
    """The stream of a name that is not known yet."""
    return f"early-{name}"
