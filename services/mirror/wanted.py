"""Make what a target has to show of a version from what registry, approval and artifact show of it. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from services.mirror.domain.target_state import RANK
from services.mirror.targets.base import Approval, File, Metric, Share, Wanted

AVAILABLE = "available"
"""The state of an artifact whose bytes the readers of its version may load."""
ENDED = frozenset({"Archived", "Rejected"})
"""Stages that end a version: a target that has it shows so, and one that lacks it does not get it."""


def wanted_of(
    version: Mapping[str, Any],
    model: Mapping[str, Any],
    reviews: Sequence[Mapping[str, Any]],
    files: tuple[File, ...],
) -> Wanted:
    """Return what a target has to show."""
    training = version["training"]
    dataset = training.get("dataset") or {}
    artifact = version["artifact_digest"] or ""
    return Wanted(
        model_id=version["model_id"],
        model=version["model"],
        number=version["number"],
        semver=version["semver"],
        stage=version["stage"],
        aliases=tuple(sorted(version["aliases"])),
        shares=_shares(version),
        approvals=tuple(map(_approval, reviews)),
        description=version["description"],
        model_description=model.get("description", ""),
        tags=dict(version["tags"]),
        metrics=_metrics(version["evaluations"]),
        signature=version["schema"],
        framework=_framework(training),
        artifact_digest=artifact,
        files=files,
        data_set=dataset.get("name") or "",
        data_digest=dataset.get("digest") or "",
        creator=version["creator"] or "",
        withdrawn=version["withdrawn"] is not None,
        retired=version["retired"] is not None,
        reasons=_reasons(version),
        position=f"model-{version['model_id']}#{version['revision']}",
    )


def is_ended(wanted: Wanted) -> bool:
    """Return whether the version may not be loaded any more, or was taken out of use."""
    return wanted.stage in ENDED or wanted.withdrawn or wanted.retired


def is_reached(wanted: Wanted, from_stage: str) -> bool:
    """Return whether the version has the stage from which on it is mirrored."""
    return RANK.get(wanted.stage, 0) >= RANK[from_stage]


def _shares(version: Mapping[str, Any]) -> tuple[Share, ...]:
    production = {p["environment"] for p in version["promotions"] if p["production"]}
    return tuple(
        Share(r["environment"], r["environment"] in production, r["percent"], r["role"])
        for r in sorted(version["rollouts"], key=lambda r: (r["environment"], r["role"]))
    )


def _approval(review: Mapping[str, Any]) -> Approval:
    approvals = [x for x in review["entries"] if x["kind"] in {"ReviewApproved", "OverrideUsed"}]
    return Approval(
        review["review_id"],
        tuple(x["name"] or x["by"] for x in approvals),
        " / ".join(text for x in approvals if (text := x["text"].strip())),
        datetime.fromisoformat(approvals[-1]["at"] if approvals else review["opened_at"]),
        review["environment"],
    )


def _metrics(evaluations: Sequence[Mapping[str, Any]]) -> tuple[Metric, ...]:
    """Return the newest value of each metric on each data set, by its makers and by others."""
    newest = {
        (x["name"], x["dataset_digest"], x["independent"]): x
        for x in sorted(evaluations, key=lambda x: str(x["recorded_at"]))
    }
    return tuple(
        Metric(x["name"], x["value"], x["dataset_name"], x["dataset_digest"], not x["independent"])
        for _, x in sorted(newest.items())
    )


def _framework(training: Mapping[str, Any]) -> str:
    framework = training.get("framework") or {}
    return " ".join(part for key in ("name", "version") if (part := framework.get(key)))


def _reasons(version: Mapping[str, Any]) -> tuple[str, ...]:
    retired = version["retired"] or {}
    found = [version["withdrawn"], *(version["reasons"] or ()), retired.get("rule")]
    return tuple(str(reason) for reason in found if reason)
