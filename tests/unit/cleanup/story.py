"""Given/when/then for retention: the registry's events, then commands, at moments in seconds."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from services.cleanup.domain import defaults
from services.cleanup.domain.plan import plan
from services.cleanup.domain.policy import RetentionPolicy
from services.cleanup.domain.retention import DECIDERS, evolve, stream_of
from services.cleanup.domain.retention_commands import (
    ChangeRetention,
    NoteRegistryEvent,
    ProposeRetirement,
    RecordUsage,
    RetentionCommand,
    SweepVersions,
)
from services.cleanup.domain.retention_events import RetentionEvent, VersionMarked, VersionSpared
from services.cleanup.domain.retention_state import INITIAL, State
from shared.deciding.decider import Streams
from shared.deciding.events import Source

MODEL = "0199a000-0000-7000-8000-000000000001"
EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
QUICK = RetentionPolicy(
    unused_seconds=100,
    left_production_seconds=100,
    unknown_seconds=None,
    draft_seconds=100,
    rejected_seconds=100,
    keep_newest=0,
    grace_seconds=50,
)


def at(seconds: float) -> datetime:
    return EPOCH + timedelta(seconds=seconds)


@dataclass
class Story:
    """A model's events, and the state that cleanup folds from them."""

    state: State = INITIAL
    revision: int = 0
    defaults: defaults.Defaults = field(default_factory=defaults.Defaults)
    events: list[RetentionEvent] = field(default_factory=list)

    def when(self, command: RetentionCommand) -> list[RetentionEvent]:
        """Return the events of a command, and apply them."""
        states = {stream_of(MODEL): self.state, defaults.STREAM: self.defaults}
        if not isinstance(command, SweepVersions | ProposeRetirement):
            del states[defaults.STREAM]
        events = list(DECIDERS[type(command)].decide(command, Streams(states))[stream_of(MODEL)])
        for event in events:
            self.state = evolve(self.state, event)
        self.events += events
        return events

    def note(self, type_: str, seconds: float = 0, **data: Any) -> list[RetentionEvent]:
        """Note registry's next event of this model, recorded at `seconds`."""
        self.revision += 1
        source = Source(
            "registry",
            f"model-{MODEL}",
            self.revision,
            f"regista.registry.{type_}.v1",
            f"event-{self.revision}",
        )
        data = {"model_id": MODEL, "model": "churn", "recordedtime": at(seconds).isoformat(), **data}
        return self.when(NoteRegistryEvent(source, "00", data, at(seconds)))

    def policy(self, policy: RetentionPolicy = QUICK, **changes: Any) -> Story:
        self.when(ChangeRetention(MODEL, replace(policy, **changes), now=at(0)))
        return self

    def default(self, namespace: str, policy: RetentionPolicy | None = QUICK) -> Story:
        """Set, or with None remove, the default of a namespace."""
        for event in defaults.decide(defaults.ChangeDefault(namespace, policy), self.defaults):
            self.defaults = defaults.evolve(self.defaults, event)
        return self

    def register(self, number: int, seconds: float = 0) -> Story:
        self.note("VersionRegistered", seconds, number=number, semver=f"1.0.{number}")
        return self

    def use(
        self, number: int, seconds: float, count: int = 1, *, arriving: float | None = None
    ) -> list[RetentionEvent]:
        now = at(seconds if arriving is None else arriving)
        return self.when(
            RecordUsage(MODEL, number, count, at(seconds - 1), at(seconds), "production", now=now)
        )

    def sweep(
        self, seconds: float, sweep: str = "s1", first: int = 1, last: int = 1000
    ) -> list[RetentionEvent]:
        return self.when(SweepVersions(MODEL, sweep, first, last, at(seconds)))

    def end_grace(self, number: int, seconds: float, sweep: str = "s1") -> list[RetentionEvent]:
        return self.when(ProposeRetirement(MODEL, number, sweep, at(seconds)))


def codes(event: RetentionEvent) -> set[str]:
    """Return the reason codes of a spared version."""
    assert isinstance(event, VersionSpared)
    return {reason.code for reason in event.reasons}


def kinds(events: list[RetentionEvent]) -> list[str]:
    return [type(event).__name__ for event in events]


def simulate(
    state: State, now: datetime, policy: RetentionPolicy | None = None
) -> list[VersionMarked | VersionSpared]:
    """Return the plan's verdict on each version."""
    made = plan(state, now, policy)
    return [made.verdict(number) for number in sorted([*made.marked, *made.spared])]
