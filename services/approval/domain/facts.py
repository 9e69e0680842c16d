"""The facts about models, versions and promotion requests that approval keeps from other services' events."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Literal

from services.approval.domain import noted
from services.approval.domain.evidence import newest
from services.approval.domain.noted import Champion, Evaluation, ImportName, Signature

PromotionStatus = Literal["open", "granted", "promoted", "spent", "denied", "refused"]
"""`denied` by approval, `refused` by the registry; people see both as refused. `promoted`: the registry
carried the grant out. `spent`: it ended before the version was champion."""
TERMINAL = frozenset({"Rejected", "Withdrawn", "Retired"})


@dataclass(frozen=True, slots=True)
class ModelFacts:
    model: str = ""
    kind: str = "model"
    tier: str = "medium"
    tags: dict[str, str] | None = None


@dataclass(frozen=True, slots=True)
class VersionFacts:
    """`digest` is the leaf of registry's event, so it covers the version as registered, bit for bit.

    `makers` made the version; they may not approve it.
    """

    model_id: str
    number: int
    semver: str
    digest: str
    artifact_digest: str
    bump: str
    missing: tuple[str, ...]
    makers: tuple[str, ...]
    signature: Signature | None
    stage: str
    imported_from: ImportName | None = None


@dataclass(frozen=True, slots=True)
class Promotion:
    """One request to promote a version.

    The grant repeats `digest`, which registry computed over the request. `serve`: the grant gives the version
    all requests where no version serves. `production`: whether the environment is one. `recalled_ancestors`
    are those at the request; registry refuses a grant when there are others by then.
    """

    id: str
    environment: str
    digest: str
    people: tuple[str, ...]
    status: PromotionStatus = "open"
    serve: bool = False
    production: bool = True
    requester: str = ""
    recalled_ancestors: tuple[str, ...] = ()


def model_facts(facts: ModelFacts, event: noted.ModelEvent | noted.VersionRegistered) -> ModelFacts:
    """Return `facts` with every field that the event sets."""
    given = {
        name: value
        for name in ("model", "kind", "tier", "tags")
        if (value := getattr(event, name)) is not None
    }
    return replace(facts, **given)


def makers_of(event: noted.VersionRegistered) -> tuple[str, ...]:
    """Return the people who made a registered version, by the subjects and names that it has for them."""
    training = event.training
    named = (
        event.creator,
        training and training.creator,
        event.on_behalf_of,
        event.requester_subject,
        *event.contributors,
    )
    return tuple(dict.fromkeys(person for person in named if person))


def version_facts(event: noted.VersionRegistered, leaf: str) -> VersionFacts:
    """Return the facts of a registered version. `leaf` is the leaf of registry's event."""
    return VersionFacts(
        event.model_id,
        event.number,
        event.semver or "",
        "sha256:" + leaf,
        event.artifact.digest if event.artifact else "",
        (event.bump.level if event.bump else None) or "",
        event.missing,
        makers_of(event),
        event.signature,
        "Staging",
        event.imported_from,
    )


def moved(version: VersionFacts, stage: str) -> VersionFacts:
    """Return the version in its new stage. A terminal stage gives way only to another terminal one.

    A withdrawn version that leaves its rollout is archived by registry; here it stays withdrawn.
    """
    return version if version.stage in TERMINAL and stage not in TERMINAL else replace(version, stage=stage)


def claimed(event: noted.VersionRegistered) -> tuple[Evaluation, ...]:
    """Return the evaluations that the producer claims for its own version."""
    return tuple(replace(e, independent=False) for e in (event.training.metrics if event.training else ()))


def promotion_of(event: noted.PromotionRequested) -> Promotion:
    people = dict.fromkeys(p for p in (event.requester, event.creator, event.on_behalf_of) if p)
    return Promotion(
        event.promotion_id,
        event.environment,
        event.digest,
        tuple(people),
        requester=event.requester or "",
        serve=event.serve,
        production=event.production,
        recalled_ancestors=event.evidence.recalled_ancestors,
    )


def shown(status: PromotionStatus) -> str:
    """Return the state of a promotion as people see it."""
    return "refused" if status == "denied" else status


def without_replaced(champion: Champion) -> Champion:
    return replace(champion, evaluations=newest(champion.evaluations))


def gained(champion: Champion, evaluation: Evaluation) -> Champion:
    return replace(champion, evaluations=newest((*champion.evaluations, evaluation)))
