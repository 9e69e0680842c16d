"""Shapes of gates."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from services.approval.shapes.promotions import PromotionListed


class GateResult(BaseModel):
    gate: str
    passed: bool
    detail: str
    inputs_digest: str
    tick: bool = False


class PolicyReference(BaseModel):
    name: str
    revision: int
    digest: str


class Verdict(BaseModel):
    stage: str
    passed: bool
    results: list[GateResult]
    policy: PolicyReference
    evidence_digest: str
    evidence: dict[str, Any]
    promotion_id: str | None
    evaluated_at: datetime


class GatesAnswer(BaseModel):
    """`stage` is the registry's. `waits_for`: what must arrive before the gates can be checked."""

    model_id: str
    model: str
    number: int
    semver: str
    stage: str
    withdrawn: bool
    retired: bool
    artifact_digest: str
    artifact: str
    waits_for: list[str]
    gates: list[Verdict]
    promotions: list[PromotionListed]
