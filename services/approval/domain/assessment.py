"""The assessment of a stage: the policy that applies, and the results of its automated gates."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property

from regista.wire.policies import Subject
from services.approval.domain import policy, version_gates
from services.approval.domain.evidence import Evidence, digest_of, evidence_digest, sealed_evidence_digest
from services.approval.domain.facts import Promotion
from services.approval.domain.gate_checks import Manual
from services.approval.domain.gate_events import GatesEvaluated
from services.approval.domain.gate_kinds import Gate, Result, check
from services.approval.domain.policy import (
    NON_PRODUCTION,
    PRODUCTION,
    VALIDATED,
    BreakGlass,
    PolicyRef,
    PolicyState,
)
from services.approval.domain.review_events import Seal
from services.approval.domain.version_gates import VersionGates
from shared.deciding.access import namespace_of
from shared.deciding.decider import Streams


@dataclass(frozen=True, slots=True)
class Situation:
    """The states that a decision about one version reads: the version, its model and the policies."""

    stream: str
    gate: VersionGates
    model: VersionGates
    policies: tuple[PolicyState, ...]


@dataclass(frozen=True)
class Assessment:
    """The gates of a stage with the evidence they are checked on.

    The checks run when `results` is first read.
    """

    stage: str
    evidence: Evidence
    evidence_digest: str
    policy: PolicyRef
    gates: tuple[Gate, ...] | None
    """None when no policy has gates for the stage."""
    challenger_cap: int | None = None
    two_to_recall: bool = False
    break_glass: BreakGlass = field(default_factory=BreakGlass)

    @cached_property
    def results(self) -> tuple[Result, ...]:
        """The result of every automated gate. Without a policy the only result is a denial."""
        if self.gates is not None:
            return tuple(check(g, self.evidence) for g in policy.automated(self.gates))
        e = self.evidence
        advice = f"no policy has gates for {self.stage} of this model; publish one that selects it"
        return (Result("policy", False, advice, digest_of([namespace_of(e.model), e.kind])),)

    @property
    def manual(self) -> Manual | None:
        """How people decide; None when the policy has no manual gate."""
        return policy.manual(self.gates or ())

    @property
    def passed(self) -> bool:
        """Whether every automated gate passed."""
        return all(r.passed for r in self.results)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why gates did not pass."""
        return tuple(f"{r.gate}: {r.detail}" for r in self.results if not r.passed)

    @cached_property
    def seal(self) -> Seal:
        """The digests that bind a review to what it shows."""
        e = self.evidence
        return Seal(e.version_digest, e.artifact_digest, sealed_evidence_digest(e), self.policy.digest)


def situation(model_id: str, number: int, streams: Streams) -> Situation:
    """Return the states for a decision.

    Raises Misrouted when a policy was added after the streams were looked up.
    """
    stream = version_gates.stream_of(model_id, number)
    return Situation(
        stream=stream,
        gate=streams.state(version_gates.VERSION_GATES, stream),
        model=streams.state(version_gates.VERSION_GATES, version_gates.stream_of(model_id)),
        policies=policy.in_force(streams),
    )


def assess_promotion(s: Situation, promotion: Promotion) -> Assessment:
    """Return the assessment of a promotion, by the policies for its environment."""
    stage = PRODUCTION if promotion.production else NON_PRODUCTION
    here = promotion.environment
    return _assess(s, stage, here, here, promotion.recalled_ancestors)


def assess_validated(s: Situation) -> Assessment:
    """Return the assessment of the stage Validated of a version that has been noted."""
    return _assess(s, VALIDATED, version_gates.DEFAULT_ENVIRONMENT)


def _assess(
    s: Situation,
    stage: str,
    compared_in: str,
    environment: str = "",
    recalled_ancestors: tuple[str, ...] = (),
) -> Assessment:
    """Assess the gates of a stage. `compared_in`: the environment with whose champion they compare."""
    e = replace(
        version_gates.evidence_of(s.gate, s.model, compared_in), recalled_ancestors=recalled_ancestors
    )
    subject = Subject(namespace_of(e.model), e.kind, e.tier, e.tags, environment)
    applied = policy.select(s.policies, subject, stage)
    if applied is None or applied.policy is None:
        return Assessment(stage, e, evidence_digest(e), PolicyRef(), None)
    used = applied.policy
    return Assessment(
        stage,
        e,
        evidence_digest(e),
        applied.ref,
        used.stages[stage],
        used.challenger_cap,
        used.two_to_recall,
        used.break_glass,
    )


def new_verdict(s: Situation, a: Assessment, promotion: Promotion | None = None) -> list[GatesEvaluated]:
    """Return the verdict as an event, or nothing when evidence and policy are those of the last one."""
    promotion_id = promotion.id if promotion else None
    last = s.gate.verdicts.get(version_gates.verdict_key(a.stage, promotion_id))
    if last and (last.evidence_digest, last.policy_digest) == (a.evidence_digest, a.policy.digest):
        return []
    e = a.evidence
    return [
        GatesEvaluated(
            model_id=e.model_id,
            model=e.model,
            number=e.number,
            stage=a.stage,
            passed=a.passed,
            results=a.results,
            policy=a.policy,
            evidence_digest=a.evidence_digest,
            evidence=e,
            promotion_id=promotion_id,
            challenger_cap=a.challenger_cap,
            two_to_recall=a.two_to_recall,
        )
    ]


def is_validated(s: Situation) -> bool:
    """Return whether the version has passed the gates of stage Validated.

    Registry's event of it may arrive later: approval's own verdict on good bytes is the same.
    """
    version = s.gate.version
    if version is None or version.stage != "Staging":
        return version is not None
    verdict = s.gate.verdicts.get(version_gates.verdict_key(policy.VALIDATED, None))
    return verdict is not None and verdict.passed and s.gate.artifact == "released"
