"""`mlflow-all`: what clients of MLflow may do, by namespace."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from immutables import Map

from regista.wire.names import may_exist
from shared.deciding.decider import Decider, Unprocessable

STREAM = "mlflow-all"
EVERYWHERE = "*"
Mode = Literal["governed", "labels"]
GOVERNED: Mode = "governed"


@dataclass(frozen=True, slots=True)
class SetMlflowMode:
    """Choose the mode of a namespace, and of those below it that have none of their own."""

    namespace: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class MlflowModeSet:
    namespace: str
    mode: Mode


@dataclass(frozen=True, slots=True)
class Modes:
    """The modes that were set, by namespace."""

    revision: int = 0
    chosen: Map[str, Mode] = field(default=Map())

    def of(self, namespace: str) -> Mode:
        """Return the mode of a namespace: its own, else that of the nearest one above it."""
        while namespace:
            if namespace in self.chosen:
                return self.chosen[namespace]
            namespace = namespace.rpartition(".")[0]
        return self.chosen.get(EVERYWHERE, GOVERNED)


def decide(command: SetMlflowMode, state: Modes) -> Sequence[MlflowModeSet]:
    if command.namespace != EVERYWHERE and not may_exist(command.namespace):
        raise Unprocessable(
            "invalid_namespace",
            f"{command.namespace!r:.200} is no namespace: name one, or * for all that have no mode of their "
            "own.",
        )
    if state.chosen.get(command.namespace) == command.mode:
        return []
    return [MlflowModeSet(command.namespace, command.mode)]


def evolve(state: Modes, event: MlflowModeSet) -> Modes:
    return Modes(state.revision + 1, state.chosen.set(event.namespace, event.mode))


MODES: Decider[SetMlflowMode, MlflowModeSet, Modes] = Decider("mlflow", Modes(), evolve, decide=decide)

DECIDERS: Mapping[type, Decider[SetMlflowMode, MlflowModeSet, Modes]] = {SetMlflowMode: MODES}
