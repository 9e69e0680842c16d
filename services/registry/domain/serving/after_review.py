"""A version whose override was not justified gets no further requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from services.registry.domain import noted
from services.registry.domain.model import past
from services.registry.domain.model.events import GrantWithdrawn
from services.registry.domain.model.fold import MODEL, evolve
from services.registry.domain.model.state import (
    Events,
    ModelState,
    open_requests,
    predecessors,
    require_model,
    serving_key,
    stands_by_override,
    stream_of,
)
from services.registry.domain.serving.departure import out_of_production
from services.registry.domain.serving.rollback import (
    RollBack,
    roll_back,
    rollback_documents,
    rollback_target,
)
from shared.deciding.decider import Joint, RuleBroken, Streams
from shared.deciding.events import Noted


@dataclass(frozen=True, slots=True)
class NoteAfterReview:
    """approval's after-review of an override. `doubts`: as in RollBack."""

    model_id: str
    note: Noted
    doubts: Mapping[int, str] = field(default_factory=dict)


def note_after_review(command: NoteAfterReview, streams: Streams) -> Events:
    """Withdraw the grant of an unjustified override, and roll back where its policy requires it.

    A grant that has not arrived yet is refused when it arrives. Nothing happens when the override was
    justified, or the version is promoted by people since.
    """
    stream = stream_of(command.model_id)
    state = require_model(streams.state(MODEL, stream))
    reviewed: noted.OverrideReviewed = noted.read(command.note)
    here, about = serving_key(reviewed.environment, reviewed.number), (reviewed.number, reviewed.environment)
    if reviewed.justified:
        return {}
    if not stands_by_override(state, *about, reviewed.review_id):
        return {stream: [command.note]} if open_requests(state, *about) else {}
    version = state.versions[reviewed.number]
    withdrawn = GrantWithdrawn(
        state.model,
        reviewed.number,
        version.semver,
        state.promoted.get(here, "") or state.spent.get(here, ""),
        reviewed.environment,
        reviewed.review_id,
    )
    after = evolve(evolve(state, command.note), withdrawn)
    if reviewed.consequence == "roll_back" and _serves(after, reviewed):
        try:
            back = _rolled_back(command, reviewed, after, streams)
        except RuleBroken as broken:
            withdrawn = replace(withdrawn, not_rolled_back=broken.detail)
        else:
            return {stream: [command.note, withdrawn, *back]}
    return {stream: [command.note, withdrawn, *out_of_production(after, [reviewed.number])]}


def _serves(state: ModelState, reviewed: noted.OverrideReviewed) -> bool:
    rollout = state.rollouts.get(reviewed.environment)
    return rollout is not None and any(e.number == reviewed.number and e.percent for e in rollout.entries)


def _rolled_back(
    command: NoteAfterReview, reviewed: noted.OverrideReviewed, state: ModelState, streams: Streams
) -> list[Any]:
    """Return the rollback to what served before, or the end of the split where the version challenges."""
    environment, stream = reviewed.environment, stream_of(command.model_id)
    current = Streams({**streams.states, stream: state}, streams.past)
    to = None
    if past.champion_number(state, environment) == reviewed.number:
        to = rollback_target(
            command.model_id, environment, reviewed.number, state, current, command.doubts
        ).number
        if not to:
            raise RuleBroken("no_rollback_target", "nothing that can serve its callers served before it")
    decided = roll_back(RollBack(command.model_id, environment, to, doubts=command.doubts), current)
    return decided[stream]


def _documents(command: NoteAfterReview, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    reviewed: noted.OverrideReviewed = noted.read(command.note)
    left = past.champion_number(state, reviewed.environment)
    targets = [*predecessors(state, reviewed.environment, left), left]
    return rollback_documents(command.model_id, reviewed.environment, state).union(
        *(past.evidence_at(command.model_id, state, number) for number in targets)
    )


DECIDERS: Mapping[type, Joint[Any]] = {NoteAfterReview: Joint(note_after_review, _documents)}
