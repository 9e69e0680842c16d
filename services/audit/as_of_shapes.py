"""The JSON shapes of what served at a moment, and why."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from pydantic import BaseModel

from services.audit.shapes import Reference, Who


class Requested(BaseModel):
    by: Who
    at: datetime
    reason: str
    event: Reference


class Approval(BaseModel):
    subject: str
    at: datetime
    role: str | None
    comment: str | None
    conditions: list[str] | None
    event: Reference


class Override(BaseModel):
    by: Who
    at: datetime
    reason: str | None


class Promotion(BaseModel):
    """The decision that let a version into Production, as stored."""

    promotion_id: str | None
    promoted_at: datetime
    requested: Requested | None
    evidence_digest: str | None
    evidence: dict[str, Any] | None
    approvers: list[Approval]
    override: Override | None
    policy: dict[str, Any] | None
    gates: list[dict[str, Any]] | None
    granted: Reference | None
    event: Reference


class CorrectedField(BaseModel):
    field: str | None
    before: Any
    after: Any


class CorrectionThen(BaseModel):
    by: Who
    at: datetime
    reason: str
    changes: list[CorrectedField]
    event: Reference


class Registered(BaseModel):
    """`metadata` are those that stood then: as registered, with the `corrections` up to that moment."""

    registered_at: datetime
    registered_by: Who
    metadata: dict[str, Any] | None
    corrections: list[CorrectionThen]
    event: Reference


class Served(BaseModel):
    """`promotion` is null for a version that needed none for its role."""

    number: int
    semver: str | None
    percent: int | None
    role: str | None
    version: Registered | None
    promotion: Promotion | None


class ChangedBy(BaseModel):
    actor: Who
    reason: str
    event: Reference


class AsOf(BaseModel):
    """What served at that moment. Every event up to `indexed_up_to` is indexed."""

    model_id: str
    model: str
    environment: str
    at: datetime
    indexed_up_to: datetime
    since: datetime | None
    changed_by: ChangedBy | None
    entries: list[Served]
