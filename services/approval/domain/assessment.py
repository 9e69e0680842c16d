"""Asking the gates: which policy rules, what each of its automated gates says, and what a reviewer would be shown."""

from __future__ import annotations

from dataclasses import dataclass

from services.approval.domain import gate, policy
from services.approval.domain.evidence import Evidence, digest_of, evidence_digest, sealed_evidence_digest
from services.approval.domain.facts import Promotion
from services.approval.domain.gate import GatesEvaluated, GateState
from services.approval.domain.gate_kinds import Manual, Result, ask
from services.approval.domain.policy import PolicyRef, PolicyState, Subject
from services.approval.domain.review import Seal
from shared.deciding.decider import Streams


@dataclass(frozen=True, slots=True)
class Situation:
    """A version, its model and the policies, as one decision sees them."""

    stream: str
    gate: GateState
    model: GateState
    policies: tuple[PolicyState, ...]


@dataclass(frozen=True, slots=True)
class Assessment:
    """What the gates of a stage say.

    `manual` is how people would have to decide, None where they need not.
    """

    stage: str
    evidence: Evidence
    evidence_digest: str
    policy: PolicyRef
    results: tuple[Result, ...]
    manual: Manual | None

    @property
    def passed(self) -> bool:
        return all(r.passed for r in self.results)

    @property
    def reasons(self) -> tuple[str, ...]:
        return tuple(f"{r.gate}: {r.detail}" for r in self.results if not r.passed)

    @property
    def seal(self) -> Seal:
        e = self.evidence
        return Seal(e.version_digest, e.artifact_digest, sealed_evidence_digest(e), self.policy.digest)


def situation(model_id: str, number: int, streams: Streams) -> Situation:
    """Raises Misrouted when a policy was added after the streams were named."""
    stream = gate.stream_of(model_id, number)
    return Situation(
        stream, streams.states[stream], streams.states[gate.stream_of(model_id)], policy.in_force(streams)
    )


def assess(s: Situation, stage: str, environment: str = gate.DEFAULT_ENVIRONMENT) -> Assessment:
    """Pure and total for a version that is known: no policy at all denies, too."""
    evidence = gate.evidence_of(s.gate, s.model, environment)
    namespace = evidence.model.rpartition(".")[0]
    ruling = policy.select(s.policies, Subject(namespace, evidence.kind, evidence.tier, evidence.tags), stage)
    if ruling is None or ruling.policy is None:
        none = Result(
            "policy",
            False,
            f"no policy rules {stage} for this model; publish one that selects it",
            digest_of([namespace, evidence.kind]),
        )
        return Assessment(stage, evidence, evidence_digest(evidence), PolicyRef(), (none,), None)
    gates = ruling.policy.stages[stage]
    results = tuple(ask(g, evidence) for g in policy.automated(gates))
    return Assessment(stage, evidence, evidence_digest(evidence), ruling.ref, results, policy.manual(gates))


def evaluated(s: Situation, a: Assessment, promotion: Promotion | None = None) -> list[GatesEvaluated]:
    """The evaluation as an event; nothing when neither evidence nor policy changed since the last one."""
    promotion_id = promotion.id if promotion else None
    last = s.gate.evaluated.get(gate.key_of(a.stage, promotion_id))
    if last and (last.evidence_digest, last.policy_digest) == (a.evidence_digest, a.policy.digest):
        return []
    e = a.evidence
    return [
        GatesEvaluated(
            e.model_id,
            e.model,
            e.number,
            a.stage,
            a.passed,
            a.results,
            a.policy,
            a.evidence_digest,
            e,
            promotion_id,
        )
    ]
