"""A story about one target: commands in order, each decided on what the log has until then."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from services.mirror.domain.target import TARGET
from services.mirror.domain.target_commands import (
    DeferVersion,
    RecordFailure,
    RecordMirrored,
    RequestVersion,
    SetTarget,
    TargetCommand,
)
from services.mirror.domain.target_events import TargetEvent
from services.mirror.domain.target_state import Target

START = datetime(2026, 11, 1, tzinfo=UTC)
NAME, MODEL, MODEL_ID = "partners", "fraud.cards", "m1"


@dataclass
class Story:
    """`state` is what the events fold to, `seconds` the time since START."""

    state: Target = TARGET.initial
    events: list[TargetEvent] = field(default_factory=list)
    seconds: float = 0

    def do(self, command: TargetCommand) -> list[TargetEvent]:
        if hasattr(command, "now"):
            command = cast("TargetCommand", replace(cast("Any", command), now=self.now))
        new = list(TARGET.decide(command, self.state))
        for event in new:
            self.state = TARGET.evolve(self.state, event)
        self.events += new
        return new

    @property
    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds)

    def set(self, *namespaces: str, from_stage: str = "Validated") -> Story:
        self.do(SetTarget(NAME, "mlflow", namespaces or ("*",), from_stage))
        return self

    def request(self, number: int = 1, enters: str = "Validated", **more: Any) -> list[TargetEvent]:
        return self.do(
            RequestVersion(NAME, MODEL_ID, more.pop("model", MODEL), number, "test", enters, **more)
        )

    def newest(self, number: int = 1) -> int:
        return self.state.copies[f"{MODEL_ID}@{number}"].request

    def mirrored(self, number: int = 1, request: int = 0, aliases: tuple[str, ...] = ()) -> list[TargetEvent]:
        facts = ("1.0.0", "Validated", MODEL, MODEL, f"models:/{MODEL}/1", aliases, "model-m1#1", ())
        return self.do(RecordMirrored(NAME, MODEL_ID, number, request or self.newest(number), *facts))

    def deferred(self, status: Any, number: int = 1) -> list[TargetEvent]:
        return self.do(DeferVersion(NAME, MODEL_ID, number, self.newest(number), status, "because"))

    def failed(self, number: int = 1, *, retry: bool = True, after: float | None = None) -> Any:
        code = "unavailable" if retry else "refused"
        command = RecordFailure(
            NAME, MODEL_ID, number, self.newest(number), code, "no", retry, retry_after=after
        )
        (event,) = self.do(command)
        return event

    def status(self, number: int = 1) -> str:
        copy = self.state.copies.get(f"{MODEL_ID}@{number}")
        return copy.status if copy else ""


def kinds(events: list[TargetEvent]) -> list[str]:
    return [type(event).__name__ for event in events]
