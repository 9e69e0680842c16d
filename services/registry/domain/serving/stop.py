"""Stop: no version serves in an environment any more."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from services.registry.domain.model.events import RolloutChanged
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import Events, is_production, require_model, stream_of
from services.registry.domain.serving.departure import departures
from services.registry.domain.serving.rollout import require_rollout, require_served
from shared.deciding.decider import Joint, Streams


@dataclass(frozen=True, slots=True)
class StopRollout:
    """It reads ENVIRONMENTS.

    `expected` is the revision of the rollout that the caller saw, `from_number` the champion.
    """

    model_id: str
    environment: str
    expected: int | None = None
    from_number: int | None = None


def stop(command: StopRollout, streams: Streams) -> Events:
    """Take every version out of the rollout; nothing when it is stopped already."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    require_served(state, command.environment, streams, "stop")
    rollout = require_rollout(state, command.environment, command.expected, command.from_number)
    if not rollout.entries:
        return {}
    production = is_production(state, command.environment)
    stopped = RolloutChanged(state.model, command.environment, (), rollout.entries, None, production)
    return {stream_of(command.model_id): [stopped, *departures(state, stopped)]}


DECIDERS: Mapping[type, Joint[Any]] = {StopRollout: Joint(stop)}
