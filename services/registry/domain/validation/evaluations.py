"""Evaluations: metrics of a version on named data sets, recorded since its registration."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from services.registry.domain.model import past
from services.registry.domain.model.events import Evaluation, EvaluationRecorded
from services.registry.domain.model.fold import MODEL, evaluation_digest, measures
from services.registry.domain.model.state import Events, require_usable, stream_of
from shared.deciding.decider import Joint, RuleBroken, Streams
from shared.deciding.person import Person, is_one_of

MOST_EVALUATIONS = 200


@dataclass(frozen=True, slots=True)
class RecordEvaluation:
    """`started_by`: who started the job that is its author, if any.

    `people`: all by which its author, this person and the makers of the version are recognised.
    """

    model_id: str
    number: int
    evaluation: Evaluation
    expected: int | None = None
    people: Mapping[str, Person] = field(default_factory=dict)
    started_by: str = ""


def record_evaluation(command: RecordEvaluation, streams: Streams) -> Events:
    """Record one more metric. Repeating the newest value of the same measurement changes nothing.

    Makers of a version cannot record independent evaluations of it.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_usable(state, command.number, command.expected)
    makers = past.makers(command.model_id, state, command.number, streams)
    authors = [who for who in (command.evaluation.by, command.started_by) if who]
    made_it = [who for who in authors if is_one_of(who, makers, command.people)]
    if command.evaluation.independent and made_it:
        raise RuleBroken(
            "not_independent",
            f"{made_it[0]} made this version: record the evaluation as claimed, or let another "
            "person measure.",
        )
    recorded = state.evaluations.get(command.number, ())
    newest = next((ref for ref in reversed(recorded) if ref.about == measures(command.evaluation)), None)
    if newest is not None and newest.digest == evaluation_digest(command.evaluation):
        return {}
    if len(recorded) >= MOST_EVALUATIONS:
        raise RuleBroken(
            "too_many_evaluations",
            f"A version takes {MOST_EVALUATIONS} evaluations: summarise them before you record.",
        )
    event = EvaluationRecorded(state.model, command.number, version.semver, command.evaluation)
    return {stream_of(command.model_id): [event]}


def _document(command: RecordEvaluation, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    return past.documents_of(command.model_id, state, [command.number])


DECIDERS: Mapping[type, Joint[Any]] = {RecordEvaluation: Joint(record_evaluation, _document)}
