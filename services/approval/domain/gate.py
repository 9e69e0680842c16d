"""`gate-<model_id>@<number>`: what is known of a version, and what its gates said. `gate-<model_id>`: what is known of its model.

Both fold into the same state; what a gate still waits for is read from it (`waits_for`), so the order in
which topics arrive does not matter.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, assert_never

from immutables import Map

from services.approval.domain import facts, noted
from services.approval.domain.evidence import Evidence, newest
from services.approval.domain.facts import ModelFacts, Promotion, PromotionStatus, VersionFacts
from services.approval.domain.gate_kinds import Result
from services.approval.domain.noted import Champion, Evaluation
from services.approval.domain.policy import PolicyRef
from shared.deciding.decider import Decider
from shared.deciding.events import Noted

DEFAULT_ENVIRONMENT = "production"


# commands


@dataclass(frozen=True, slots=True)
class NoteModel:
    """Remember a fact about the model; an evaluation only when it is one of a champion."""

    note: Noted


@dataclass(frozen=True, slots=True)
class NoteVersion:
    """Remember a fact about the version."""

    note: Noted


# events


@dataclass(frozen=True, slots=True)
class GatesEvaluated:
    """Every automated gate of the stage, on the evidence as it was, by the policy as it was: enough to evaluate it again."""

    model_id: str
    model: str
    number: int
    stage: str
    passed: bool
    results: tuple[Result, ...]
    policy: PolicyRef
    evidence_digest: str
    evidence: Evidence
    promotion_id: str | None = None


@dataclass(frozen=True, slots=True)
class PromotionGranted:
    """The version may serve. `digest` is the one its promotion was requested with; `override`: by break-glass, not by the policy.

    `review_id` is the review in which people approved or the glass was broken; empty when the policy asks
    nobody.
    """

    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    digest: str
    approvers: tuple[str, ...]
    policy: PolicyRef
    evidence_digest: str
    review_id: str = ""
    override: bool = False


@dataclass(frozen=True, slots=True)
class OverrideStands:
    """The glass was broken on a promotion that is over: the next request over the same sealed facts is granted by it."""

    promotion_id: str
    model_id: str
    number: int
    environment: str
    by: str
    sealed_digest: str


@dataclass(frozen=True, slots=True)
class OverrideWithdrawn:
    """The after-review found that the override was not justified: no further request is granted by it."""

    promotion_id: str
    model_id: str
    number: int
    environment: str
    by: str


@dataclass(frozen=True, slots=True)
class PromotionDenied:
    promotion_id: str
    model_id: str
    model: str
    number: int
    environment: str
    reasons: tuple[str, ...]


# state


@dataclass(frozen=True, slots=True)
class Evaluated:
    """What the last evaluation looked at, and what came of it."""

    evidence_digest: str
    policy_digest: str
    passed: bool


@dataclass(frozen=True, slots=True)
class GateState:
    """`noted`: the newest revision of each foreign stream. `evaluations` stand oldest first; registry takes at most 200 of a version.

    `evaluated`: the last evaluation by "Validated" or promotion id. `overrides`: by environment, the one that
    the next request may use.
    """

    noted: Map[str, int] = field(default=Map())
    model: ModelFacts | None = None
    champions: Map[str, Champion] = field(default=Map())
    version: VersionFacts | None = None
    artifacts: Map[str, str] = field(default=Map())
    evaluations: tuple[Evaluation, ...] = ()
    promotions: Map[str, Promotion] = field(default=Map())
    evaluated: Map[str, Evaluated] = field(default=Map())
    overrides: Map[str, OverrideStands] = field(default=Map())

    @property
    def artifact(self) -> str:
        """What artifact last said of the bytes of this version; empty while it said nothing."""
        return self.artifacts.get(self.version.artifact_digest, "") if self.version else ""

    @property
    def open_promotions(self) -> tuple[Promotion, ...]:
        return tuple(p for _, p in sorted(self.promotions.items()) if p.status == "open")

    @property
    def waits_for(self) -> tuple[str, ...]:
        """What must arrive before the gates can be asked at all."""
        return () if self.version and self.artifact else ("artifact",) if self.version else ("version",)


def stream_of(model_id: str, number: int | None = None) -> str:
    return f"gate-{model_id}" if number is None else f"gate-{model_id}@{number}"


def key_of(stage: str, promotion_id: str | None) -> str:
    """Under what the state keeps the last evaluation."""
    return promotion_id or stage


def decide(command: NoteModel | NoteVersion, state: GateState) -> Sequence[Noted]:
    """An older revision than the one noted changes nothing; nor does registry's answer to our own denial."""
    source = command.note.source
    if source.revision <= state.noted.get(source.stream, 0):
        return []
    if isinstance(command, NoteModel) and source.type == noted.EVALUATION_RECORDED:
        told: noted.EvaluationRecorded = noted.read_note(command.note)
        return [command.note] if any(c.number == told.number for c in state.champions.values()) else []
    if source.type == noted.PROMOTION_REFUSED:
        refused: noted.PromotionRefused = noted.read_note(command.note)
        promotion = state.promotions.get(refused.promotion_id or "")
        return [command.note] if promotion and promotion.status != "denied" else []
    return [command.note]


GateEvent = Noted | GatesEvaluated | PromotionGranted | PromotionDenied | OverrideStands | OverrideWithdrawn


def evolve(state: GateState, event: GateEvent) -> GateState:
    match event:
        case Noted():
            source = event.source
            state = replace(state, noted=state.noted.set(source.stream, source.revision))
            return _evolve_noted(state, event, noted.read_note(event))
        case GatesEvaluated(
            stage=stage, promotion_id=promotion, evidence_digest=evidence, policy=policy, passed=passed
        ):
            done = Evaluated(evidence, policy.digest, passed)
            return replace(state, evaluated=state.evaluated.set(key_of(stage, promotion), done))
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
        case _:
            assert_never(event)


def _evolve_noted(state: GateState, event: Noted, told: Any) -> GateState:
    match told:
        case noted.ModelEvent():
            return replace(state, model=facts.model_facts(state.model or ModelFacts(), told))
        case noted.RolloutEvent(environment=environment, champion=champion):
            champions = (
                state.champions.delete(environment) if environment in state.champions else state.champions
            )
            return replace(
                state, champions=champions.set(environment, facts.normal(champion)) if champion else champions
            )
        case noted.VersionRegistered():
            return _registered(state, event, told)
        case noted.EvaluationRecorded(number=number, evaluation=e):
            if not state.champions:  # only the model's own stream knows any
                return replace(state, evaluations=newest((*state.evaluations, e)))
            return replace(
                state,
                champions=state.champions.update(
                    {env: facts.gained(c, e) for env, c in state.champions.items() if c.number == number}
                ),
            )
        case noted.ArtifactEvent(digest=digest):
            return replace(
                state, artifacts=state.artifacts.set(digest, noted.ARTIFACT_STATE_AFTER[event.source.type])
            )
        case noted.PromotionRequested():
            return replace(
                state, promotions=state.promotions.set(told.promotion_id, facts.promotion_of(told))
            )
        case noted.PromotionRefused(promotion_id=id_):
            return _closed(state, id_ or "", "refused")
        case noted.VersionEvent() if state.version:
            return replace(state, version=facts.moved(state.version, noted.STAGE_AFTER[event.source.type]))
        case _:
            return state


def _registered(state: GateState, event: Noted, told: noted.VersionRegistered) -> GateState:
    evaluations = newest((*facts.claimed(told), *state.evaluations))
    return replace(
        state,
        model=facts.model_facts(ModelFacts(), told),
        version=facts.version_facts(told, event.leaf),
        evaluations=evaluations,
    )


def _closed(state: GateState, promotion_id: str, status: PromotionStatus) -> GateState:
    promotion = state.promotions.get(promotion_id)
    if promotion is None:
        return state
    return replace(state, promotions=state.promotions.set(promotion_id, replace(promotion, status=status)))


def evidence_of(gate: GateState, model: GateState, environment: str = DEFAULT_ENVIRONMENT) -> Evidence:
    """The snapshot for the version's gates: its own facts, its model's, and the champion of the environment."""
    if gate.version is None:
        raise ValueError("a version that is not known has no evidence; see waits_for")
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


def may_validate(gate: GateState) -> bool:
    """Whether the gates of stage Validated are still a question."""
    return gate.version is not None and gate.version.stage == "Staging" and not gate.waits_for


GATE: Decider[NoteModel | NoteVersion, Any, GateState] = Decider("gate", GateState(), evolve, decide=decide)
