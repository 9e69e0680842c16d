"""The fields of the registry's events that retention needs, and how noted events fold."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec
from immutables import Map
from msgspec.structs import replace

from services.cleanup.domain.retention_state import Rollout, State, Version
from shared.deciding.events import Noted

LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)


class _Data(msgspec.Struct, frozen=True, omit_defaults=True):
    """The fields read of one kind of event. A note stores these fields only."""

    model_id: str


class ModelNamed(_Data, frozen=True):
    """A model was registered or renamed."""

    model: str


class VersionAdded(_Data, frozen=True):
    """A draft or a complete version was registered. `recordedtime` is when the registry recorded it."""

    number: int
    model: str = ""
    semver: str | None = ""
    recordedtime: datetime = LONG_AGO


class VersionChanged(_Data, frozen=True):
    """A version moved to a stage, is held or released, or its promotion or retirement was decided.

    A promotion to an environment that is no `production` leaves the stage as it is. `stage` is the stage that
    the registry names; of a retirement in older messages, which lack it, see STAGES.
    """

    number: int
    environment: str = ""
    stage: str = ""
    production: bool = True
    promotion_id: str = ""
    reason: str = ""
    reasons: tuple[str, ...] = ()
    sweep_id: str = ""
    recordedtime: datetime = LONG_AGO


class Entry(msgspec.Struct, frozen=True, omit_defaults=True):
    """A version in a rollout."""

    number: int
    role: str
    percent: int = 0


class Serving(_Data, frozen=True):
    """The versions that serve in an environment now (`entries`) and served before (`previous`)."""

    environment: str
    production: bool = True
    entries: tuple[Entry, ...] = ()
    previous: tuple[Entry, ...] = ()
    from_number: int = 0
    to_number: int = 0
    recordedtime: datetime = LONG_AGO


class AliasChanged(_Data, frozen=True):
    """An alias was set or removed."""

    alias: str
    number: int = 0


class ChildChanged(_Data, frozen=True):
    """A version was built on this one, or its link was removed."""

    number: int
    child_model_id: str
    child_number: int


RegistryData = ModelNamed | VersionAdded | VersionChanged | Serving | AliasChanged | ChildChanged

READERS: dict[str, type[RegistryData]] = {
    "ModelRegistered": ModelNamed,
    "ModelRenamed": ModelNamed,
    "DraftRegistered": VersionAdded,
    "VersionRegistered": VersionAdded,
    "VersionValidated": VersionChanged,
    "VersionRejected": VersionChanged,
    "PromotionRequested": VersionChanged,
    "PromotionRefused": VersionChanged,
    "VersionPromoted": VersionChanged,
    "VersionArchived": VersionChanged,
    "VersionRetired": VersionChanged,
    "RetireRefused": VersionChanged,
    "VersionReopened": VersionChanged,
    "VersionRecalled": VersionChanged,
    "VersionReinstated": VersionChanged,
    "LegalHoldPlaced": VersionChanged,
    "LegalHoldReleased": VersionChanged,
    "RolloutChanged": Serving,
    "RolledBack": Serving,
    "AliasSet": AliasChanged,
    "AliasRemoved": AliasChanged,
    "ChildLinked": ChildChanged,
    "ChildUnlinked": ChildChanged,
}
"""The registry's events that retention needs, and the type that reads each. All others are ignored."""

STAGES = {
    "VersionValidated": "Validated",
    "VersionRejected": "Rejected",
    "VersionPromoted": "Production",
    "VersionArchived": "Archived",
    "VersionReopened": "Staging",
    "VersionRetired": "Archived",
}
"""The stage of a version after an event that names none."""


def stage_after(name: str, data: VersionChanged) -> str:
    """Return the stage of the version after an event, or "" when the event leaves the stage as it is."""
    return (data.stage or STAGES.get(name, "")) if data.production else ""


PUBLIC_TYPES = {f"regista.registry.{name}.v1": name for name in READERS}

_DECODERS: dict[str, msgspec.json.Decoder[RegistryData]] = {
    type_: msgspec.json.Decoder(READERS[name], strict=False) for type_, name in PUBLIC_TYPES.items()
}


def read_message(type_: str, data: bytes, recorded_at: datetime) -> RegistryData:
    """Return the fields in the JSON of a public event. `recorded_at` is when the registry recorded it.

    Raises KeyError for an event that is ignored and msgspec.MsgspecError for data of another shape.
    """
    found = _DECODERS[type_].decode(data)
    if isinstance(found, VersionAdded | VersionChanged | Serving):
        return replace(found, recordedtime=recorded_at)
    return found


def read_noted(noted: Noted) -> RegistryData:
    """Return the fields that a note stores. Older notes hold more, which is ignored."""
    found: RegistryData = msgspec.convert(noted.data, READERS[PUBLIC_TYPES[noted.source.type]], strict=False)
    return found


def fold_noted(state: State, noted: Noted) -> State:
    """Fold a noted event. Notes come in the registry's order; the decision drops older ones."""
    name, data = PUBLIC_TYPES[noted.source.type], read_noted(noted)
    state = replace(state, model_id=data.model_id, noted=noted.source.revision)
    match data:
        case ModelNamed():
            return replace(state, model=data.model)
        case VersionAdded():
            return _added(state, data)
        case VersionChanged():
            return _changed(state, name, data)
        case Serving():
            return _serving(state, name, data)
        case AliasChanged():
            aliases = state.aliases
            aliases = (
                aliases.set(data.alias, data.number) if name == "AliasSet" else _without(aliases, data.alias)
            )
            return replace(state, aliases=aliases)
        case ChildChanged():
            key = f"{data.number}/{data.child_model_id}@{data.child_number}"
            children = state.children
            children = children.set(key, data.number) if name == "ChildLinked" else _without(children, key)
            return replace(state, children=children)


def _added(state: State, data: VersionAdded) -> State:
    """Add a version.

    A draft has no semantic version; when it is completed, it is registered a second time.
    """
    version = Version(data.semver or "", "Staging" if data.semver else "Draft", data.recordedtime)
    return replace(
        state,
        model=data.model or state.model,
        highest=max(state.highest, data.number),
        versions=state.versions.set(data.number, version),
    )


def _without(map_: Map[Any, Any], key: Any) -> Map[Any, Any]:
    return map_.delete(key) if key in map_ else map_


def _changed(state: State, name: str, data: VersionChanged) -> State:
    if stage := stage_after(name, data):
        state = _with_stage(state, data.number, stage, data.recordedtime)
    match name:
        case "VersionPromoted" | "PromotionRefused":
            return replace(state, promotions=_without(state.promotions, data.promotion_id))
        case "VersionRetired":
            state = replace(state, marks=_without(state.marks, data.number))
            return _with(state, data.number, retired=True)
        case "RetireRefused":
            return replace(state, marks=_without(state.marks, data.number))
        case "VersionRecalled" | "VersionReinstated":
            return _with(state, data.number, recalled=name == "VersionRecalled")
        case "LegalHoldPlaced":
            return replace(state, holds=state.holds.set(data.number, data.reason))
        case "LegalHoldReleased":
            return replace(state, holds=_without(state.holds, data.number))
        case "PromotionRequested":
            return replace(state, promotions=state.promotions.set(data.promotion_id, data.number))
    return state


def _with(state: State, number: int, **changes: bool) -> State:
    version = state.versions.get(number)
    if version is None:
        return state
    return replace(state, versions=state.versions.set(number, replace(version, **changes)))


def _with_stage(state: State, number: int, stage: str, at: datetime) -> State:
    version = state.versions.get(number) or Version("", stage, at)
    leaves = version.stage == "Production" and stage != "Production"
    version = replace(version, stage=stage, left_production_at=at if leaves else version.left_production_at)
    return replace(state, versions=state.versions.set(number, version), highest=max(state.highest, number))


def _serving(state: State, name: str, data: Serving) -> State:
    """Fold a change of who serves in an environment.

    The rollback target is found as the registry finds it.
    """
    before = next((e.number for e in data.previous if e.role == "champion"), 0)
    champion = next((e.number for e in data.entries if e.role == "champion"), 0)
    known = state.rollouts.get(data.environment, Rollout())
    predecessor = before if before != champion else known.predecessor
    rollout = Rollout(tuple(e.number for e in data.entries), champion, predecessor)
    served = state.served
    for entry in data.entries:
        key = f"{data.environment}/{entry.number}"
        if entry.percent and key not in served:
            served = served.set(key, before)
    state = replace(state, rollouts=state.rollouts.set(data.environment, rollout), served=served)
    if name != "RolledBack":
        return state
    left = state.rolled_back.set(f"{data.environment}/{data.from_number}", data.from_number)
    state = replace(state, rolled_back=_without(left, f"{data.environment}/{data.to_number}"))
    return _with_stage(state, data.to_number, "Production", data.recordedtime) if data.production else state
