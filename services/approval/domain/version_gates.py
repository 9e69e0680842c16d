"""`gate-<model_id>@<number>`: the facts of a version and its verdicts. `gate-<model_id>`: those of its model.

Both kinds of stream fold into the same state. The state contains what the gates still wait for
(`waits_for`), so the verdict does not depend on the order in which topics arrive.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from immutables import Map

from services.approval.domain import facts, noted
from services.approval.domain.evidence import Evidence, newest
from services.approval.domain.facts import ModelFacts, Promotion, PromotionStatus, VersionFacts
from services.approval.domain.gate_events import (
    AfterReviewDone,
    AfterReviewOwed,
    GateEvent,
    GatesEvaluated,
    OverrideStands,
    OverrideWithdrawn,
    PromotionDenied,
    PromotionGranted,
)
from services.approval.domain.noted import Champion, Evaluation
from shared.deciding.decider import Decider
from shared.deciding.events import Noted

DEFAULT_ENVIRONMENT = "production"


@dataclass(frozen=True, slots=True)
class NoteModel:
    """Store a fact about the model. An evaluation is stored only when it measures a champion."""

    note: Noted


@dataclass(frozen=True, slots=True)
class NoteVersion:
    """Store a fact about the version."""

    note: Noted


@dataclass(frozen=True, slots=True)
class Verdict:
    """The last verdict of a stage, with the digests of the evidence and the policy that led to it."""

    evidence_digest: str
    policy_digest: str
    passed: bool


@dataclass(frozen=True, slots=True)
class VersionGates:
    """What approval has noted of a version (or of a model) and decided about it.

    `noted`: the newest revision of each foreign stream. `evaluations`: oldest first; registry accepts at most
    200 for a version. `verdicts`: the last one, by "Validated" or by promotion id. `overrides`: by
    environment, the override that the next request may use. `owed`: of a model, the after-reviews that are
    missing, by promotion id.
    """

    noted: Map[str, int] = field(default=Map())
    model: ModelFacts | None = None
    champions: Map[str, Champion] = field(default=Map())
    version: VersionFacts | None = None
    artifacts: Map[str, str] = field(default=Map())
    evaluations: tuple[Evaluation, ...] = ()
    promotions: Map[str, Promotion] = field(default=Map())
    verdicts: Map[str, Verdict] = field(default=Map())
    overrides: Map[str, OverrideStands] = field(default=Map())
    owed: Map[str, AfterReviewOwed] = field(default=Map())

    @property
    def artifact(self) -> str:
        """The state of this version's bytes by the last event of artifact; empty before the first one."""
        return self.artifacts.get(self.version.artifact_digest, "") if self.version else ""

    @property
    def open_promotions(self) -> tuple[Promotion, ...]:
        return tuple(p for _, p in sorted(self.promotions.items()) if p.status == "open")

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What must arrive before the gates can be checked."""
        return () if self.version and self.artifact else ("artifact",) if self.version else ("version",)


def stream_of(model_id: str, number: int | None = None) -> str:
    return f"gate-{model_id}" if number is None else f"gate-{model_id}@{number}"


def verdict_key(stage: str, promotion_id: str | None) -> str:
    """Return the key of a stage's verdict in the state: one for each promotion, one for Validated."""
    return promotion_id or stage


def decide(command: NoteModel | NoteVersion, state: VersionGates) -> Sequence[Noted]:
    """Return the note to store, or nothing.

    Nothing is stored for an older revision than the one noted, and for registry's answer to approval's own
    denial. A promotion request may arrive before earlier events of its model: it is stored once, by its id.
    """
    source = command.note.source
    if source.type == noted.PROMOTION_REQUESTED:
        requested: noted.PromotionRequested = noted.read_note(command.note)
        return [] if requested.promotion_id in state.promotions else [command.note]
    if source.revision <= state.noted.get(source.stream, 0):
        return []
    if isinstance(command, NoteModel) and source.type == noted.EVALUATION_RECORDED:
        measured: noted.EvaluationRecorded = noted.read_note(command.note)
        return [command.note] if any(c.number == measured.number for c in state.champions.values()) else []
    if source.type == noted.PROMOTION_REFUSED:
        refused: noted.PromotionRefused = noted.read_note(command.note)
        promotion = state.promotions.get(refused.promotion_id or "")
        return [command.note] if promotion and promotion.status != "denied" else []
    return [command.note]


NoteCommand = NoteModel | NoteVersion


def evolve(state: VersionGates, event: GateEvent | Noted) -> VersionGates:
    match event:
        case Noted():
            source = event.source
            if source.type != noted.PROMOTION_REQUESTED:
                state = replace(state, noted=state.noted.set(source.stream, source.revision))
            return _evolve_noted(state, event, noted.read_note(event))
        case GatesEvaluated(
            stage=stage, promotion_id=promotion, evidence_digest=evidence, policy=policy, passed=passed
        ):
            verdict = Verdict(evidence, policy.digest, passed)
            return replace(state, verdicts=state.verdicts.set(verdict_key(stage, promotion), verdict))
        case PromotionGranted(promotion_id=id_, override=override, environment=environment):
            used = override and environment in state.overrides
            return _closed(
                replace(state, overrides=state.overrides.delete(environment)) if used else state,
                id_,
                "granted",
            )
        case OverrideStands(environment=environment):
            return replace(state, overrides=state.overrides.set(environment, event))
        case OverrideWithdrawn(environment=environment, promotion_id=id_):
            standing = state.overrides.get(environment)
            return (
                replace(state, overrides=state.overrides.delete(environment))
                if standing and standing.promotion_id == id_
                else state
            )
        case PromotionDenied(promotion_id=id_):
            return _closed(state, id_, "denied")
        case AfterReviewOwed(promotion_id=id_):
            return replace(state, owed=state.owed.set(id_, event))
        case AfterReviewDone(promotion_id=id_):
            return replace(state, owed=state.owed.delete(id_) if id_ in state.owed else state.owed)
        case _:
            assert_never(event)


def _evolve_noted(state: VersionGates, note: Noted, event: Any) -> VersionGates:
    match event:
        case noted.ModelEvent():
            return replace(state, model=facts.model_facts(state.model or ModelFacts(), event))
        case noted.RolloutEvent(environment=environment, champion=champion):
            champions = (
                state.champions.delete(environment) if environment in state.champions else state.champions
            )
            return replace(
                state,
                champions=champions.set(environment, facts.without_replaced(champion))
                if champion
                else champions,
            )
        case noted.VersionRegistered():
            return _registered(state, note, event)
        case noted.EvaluationRecorded(number=number, evaluation=e):
            if not state.champions:  # only the model's stream has champions
                return replace(state, evaluations=newest((*state.evaluations, e)))
            return replace(
                state,
                champions=state.champions.update(
                    {env: facts.gained(c, e) for env, c in state.champions.items() if c.number == number}
                ),
            )
        case noted.ArtifactEvent(digest=digest):
            return replace(
                state, artifacts=state.artifacts.set(digest, noted.ARTIFACT_STATE_AFTER[note.source.type])
            )
        case (
            noted.PromotionRequested()
            | noted.PromotionRefused()
            | noted.VersionPromoted()
            | noted.PromotionSpent()
        ):
            return _promotion(state, event)
        case noted.VersionReinstated(stage=stage) if state.version:
            return replace(state, version=replace(state.version, stage=stage))
        case noted.VersionEvent() if state.version:
            version, verdicts = (
                facts.moved(state.version, noted.STAGE_AFTER[note.source.type]),
                state.verdicts,
            )
            key = verdict_key("Validated", None)
            if note.source.type == noted.VERSION_REOPENED and key in verdicts:
                verdicts = verdicts.delete(key)  # its gates are assessed again
            return replace(state, version=version, verdicts=verdicts)
        case _:
            return state


def _promotion(
    state: VersionGates,
    event: noted.PromotionRequested | noted.PromotionRefused | noted.VersionPromoted | noted.PromotionSpent,
) -> VersionGates:
    id_ = event.promotion_id or ""
    match event:
        case noted.PromotionRequested():
            return replace(state, promotions=state.promotions.set(id_, facts.promotion_of(event)))
        case noted.PromotionRefused():
            return _closed(state, id_, "refused")
        case noted.PromotionSpent():
            return _closed(state, id_, "spent")
        case noted.VersionPromoted(production=production):
            state = _closed(state, id_, "promoted")
            moved = (
                facts.moved(state.version, "Production") if state.version and production else state.version
            )
            return replace(state, version=moved)
        case _:
            assert_never(event)


def _registered(state: VersionGates, note: Noted, event: noted.VersionRegistered) -> VersionGates:
    evaluations = newest((*facts.claimed(event), *state.evaluations))
    return replace(
        state,
        model=facts.model_facts(ModelFacts(), event),
        version=facts.version_facts(event, note.leaf),
        evaluations=evaluations,
    )


def _closed(state: VersionGates, promotion_id: str, status: PromotionStatus) -> VersionGates:
    promotion = state.promotions.get(promotion_id)
    if promotion is None:
        return state
    return replace(state, promotions=state.promotions.set(promotion_id, replace(promotion, status=status)))


def evidence_of(gate: VersionGates, model: VersionGates, environment: str = DEFAULT_ENVIRONMENT) -> Evidence:
    """Return the facts of the version and its model, and the champion of the environment.

    Raises ValueError when the version has not been noted.
    """
    if gate.version is None:
        raise ValueError("there is no evidence before the version is noted; read waits_for first")
    v, m = gate.version, model.model or gate.model or ModelFacts()
    champion = model.champions.get(environment)
    return Evidence(
        v.model_id,
        m.model,
        m.kind,
        m.tier,
        v.number,
        v.semver,
        v.digest,
        v.artifact_digest,
        gate.artifact,
        v.bump,
        m.tags or {},
        v.makers,
        v.missing,
        v.signature,
        gate.evaluations,
        champion,
    )


def may_validate(gate: VersionGates) -> bool:
    """Return whether the gates of stage Validated can be checked and their verdict still matters."""
    return gate.version is not None and gate.version.stage == "Staging" and not gate.waits_for


def is_open(gate: VersionGates) -> bool:
    """Return whether assessing the gates may lead to an event.

    When it is False for a state that was read under lock, the message that makes it True comes later, and its
    consumer assesses the gates then.
    """
    return may_validate(gate) or bool(gate.promotions)


VERSION_GATES: Decider[NoteCommand, GateEvent | Noted, VersionGates] = Decider(
    "gate", VersionGates(), evolve, decide=decide
)
