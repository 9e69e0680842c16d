"""What registry's public events mean for retention: tolerant readers of their data, and the fold of what was noted."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import msgspec
from immutables import Map
from msgspec import structs

from services.cleanup.domain.retention_state import Rollout, State, Version
from shared.deciding.events import Noted

RECORDED = "recordedtime"
"""Key under which a noted event's data keeps the moment its source recorded it."""

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class ModelNamed(msgspec.Struct, frozen=True):
    model_id: str
    model: str


class VersionBorn(msgspec.Struct, frozen=True):
    model_id: str
    number: int
    model: str = ""
    semver: str | None = ""
    recordedtime: datetime = LONG_AGO


class VersionFact(msgspec.Struct, frozen=True):
    model_id: str
    number: int
    environment: str = ""
    promotion_id: str = ""
    reason: str = ""
    reasons: tuple[str, ...] = ()
    sweep_id: str = ""
    recordedtime: datetime = LONG_AGO


class Entry(msgspec.Struct, frozen=True):
    number: int
    role: str
    percent: int = 0


class Serving(msgspec.Struct, frozen=True):
    model_id: str
    environment: str
    entries: tuple[Entry, ...] = ()
    previous: tuple[Entry, ...] = ()
    from_number: int = 0
    to_number: int = 0
    recordedtime: datetime = LONG_AGO


class AliasFact(msgspec.Struct, frozen=True):
    model_id: str
    alias: str
    number: int = 0


class Child(msgspec.Struct, frozen=True):
    model_id: str
    number: int
    child_model_id: str
    child_number: int


Fact = ModelNamed | VersionBorn | VersionFact | Serving | AliasFact | Child

READERS: dict[str, type[Any]] = {
    "ModelRegistered": ModelNamed,
    "ModelRenamed": ModelNamed,
    "DraftRegistered": VersionBorn,
    "VersionRegistered": VersionBorn,
    "VersionValidated": VersionFact,
    "VersionRejected": VersionFact,
    "PromotionRequested": VersionFact,
    "PromotionRefused": VersionFact,
    "VersionPromoted": VersionFact,
    "VersionArchived": VersionFact,
    "VersionRetired": VersionFact,
    "RetireRefused": VersionFact,
    "VersionRecalled": VersionFact,
    "LegalHoldPlaced": VersionFact,
    "LegalHoldReleased": VersionFact,
    "RolloutChanged": Serving,
    "RolledBack": Serving,
    "AliasSet": AliasFact,
    "AliasRemoved": AliasFact,
    "ChildLinked": Child,
    "ChildUnlinked": Child,
}
"""Which of registry's events matter here, and how each is read. All others are passed by."""

STAGES = {
    "VersionValidated": "Validated",
    "VersionRejected": "Rejected",
    "VersionPromoted": "Production",
    "VersionArchived": "Archived",
    "VersionRetired": "Retired",
}
"""The stage in which an event leaves its version."""

PUBLIC_TYPES = {f"regista.registry.{name}.v1": name for name in READERS}


def read(type_: str, data: dict[str, Any]) -> Fact:
    """The fact in the data of a public event; unknown fields are ignored.

    Raises KeyError and msgspec.ValidationError.
    """
    return msgspec.convert(data, READERS[PUBLIC_TYPES[type_]], strict=False)  # type: ignore[no-any-return]


def note(state: State, noted: Noted) -> State:
    """The state that also knows this event.

    Order is registry's own; what is older than `state.noted` never gets here.
    """
    name, fact = PUBLIC_TYPES[noted.source.type], read(noted.source.type, noted.data)
    state = replace(state, model_id=fact.model_id, noted=noted.source.revision)
    match fact:
        case ModelNamed():
            return replace(state, model=fact.model)
        case VersionBorn():
            return _born(state, fact)
        case VersionFact():
            return _version(state, name, fact)
        case Serving():
            return _serving(state, name, fact)
        case AliasFact():
            return replace(
                state,
                aliases=state.aliases.set(fact.alias, fact.number)
                if name == "AliasSet"
                else _without(state.aliases, fact.alias),
            )
        case Child():
            key = f"{fact.number}/{fact.child_model_id}@{fact.child_number}"
            return replace(
                state,
                children=state.children.set(key, fact.number)
                if name == "ChildLinked"
                else _without(state.children, key),
            )


def _born(state: State, fact: VersionBorn) -> State:
    """A draft has no semantic version; completed, it is registered once more."""
    version = Version(fact.semver or "", "Staging" if fact.semver else "Draft", fact.recordedtime)
    versions = state.versions.set(fact.number, version)
    return replace(
        state, model=fact.model or state.model, highest=max(state.highest, fact.number), versions=versions
    )


def _without(map_: Map[Any, Any], key: Any) -> Map[Any, Any]:
    return map_.delete(key) if key in map_ else map_


def _version(state: State, name: str, fact: VersionFact) -> State:
    if name in STAGES:
        state = _staged(state, fact, STAGES[name])
    match name:
        case "VersionPromoted" | "PromotionRefused":
            return replace(state, promotions=_without(state.promotions, fact.promotion_id))
        case "VersionRetired" | "RetireRefused":
            return replace(state, marks=_without(state.marks, fact.number))
        case "VersionRecalled":
            version = state.versions.get(fact.number)
            return (
                replace(
                    state, versions=state.versions.set(fact.number, structs.replace(version, recalled=True))
                )
                if version
                else state
            )
        case "LegalHoldPlaced":
            return replace(state, holds=state.holds.set(fact.number, fact.reason))
        case "LegalHoldReleased":
            return replace(state, holds=_without(state.holds, fact.number))
        case "PromotionRequested":
            return replace(state, promotions=state.promotions.set(fact.promotion_id, fact.number))
    return state


def _staged(state: State, fact: VersionFact, stage: str) -> State:
    version = state.versions.get(fact.number) or Version("", stage, fact.recordedtime)
    leaves = version.stage == "Production" and stage != "Production"
    version = structs.replace(
        version, stage=stage, left_production_at=fact.recordedtime if leaves else version.left_production_at
    )
    return replace(
        state, versions=state.versions.set(fact.number, version), highest=max(state.highest, fact.number)
    )


def _serving(state: State, name: str, fact: Serving) -> State:
    """Who serves in an environment changed.

    Where a rollback would go is remembered just as registry remembers it.
    """
    before = next((e.number for e in fact.previous if e.role == "champion"), 0)
    champion = next((e.number for e in fact.entries if e.role == "champion"), 0)
    known = state.rollouts.get(fact.environment, Rollout())
    predecessor = before if before != champion else known.predecessor
    rollout = Rollout(tuple(e.number for e in fact.entries), champion, predecessor)
    served = state.served
    for entry in fact.entries:
        key = f"{fact.environment}/{entry.number}"
        if entry.percent and key not in served:
            served = served.set(key, before)
    state = replace(state, rollouts=state.rollouts.set(fact.environment, rollout), served=served)
    if name != "RolledBack":
        return state
    left = state.rolled_back.set(f"{fact.environment}/{fact.from_number}", fact.from_number)
    state = replace(state, rolled_back=_without(left, f"{fact.environment}/{fact.to_number}"))
    return _staged(
        state, VersionFact(fact.model_id, fact.to_number, recordedtime=fact.recordedtime), "Production"
    )
