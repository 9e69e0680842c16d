"""Labels: stages and aliases that clients of MLflow set for themselves. No rule depends on them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from services.registry.domain.labels.modes import MODES
from services.registry.domain.labels.modes import STREAM as MODES_STREAM
from services.registry.domain.model.events import Label, LabelsChanged
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.state import Events, ModelState, require_model, require_version, stream_of
from shared.deciding.access import namespace_of
from shared.deciding.decider import Joint, NotFound, RuleBroken, Streams, Unprocessable

LabelStage = Literal["None", "Staging", "Production", "Archived"]
MOST_ALIASES = 1_000
_ALIAS = re.compile(r"[\w-]{1,255}")
_RESERVED = re.compile(r"latest|v\d+", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class SetLabels:
    """Change what MLflow's clients see of one version. It reads the stream of the modes.

    `stage`: its stage from now on; with `archive_existing` other versions in that stage become Archived.
    `alias` names the version. `hide`: these clients do not see the version any more.
    """

    model_id: str
    number: int
    stage: LabelStage | None = None
    archive_existing: bool = False
    alias: str = ""
    hide: bool = False


@dataclass(frozen=True, slots=True)
class RemoveLabelAlias:
    """Remove an alias. It reads the stream of the modes. Nothing happens when there is none."""

    model_id: str
    alias: str


@dataclass(frozen=True, slots=True)
class HideModel:
    """Let MLflow's clients see the model no more (`hidden`), or again. It reads the stream of the modes.

    Where the namespace is governed, a model with versions stays.
    """

    model_id: str
    hidden: bool


def set_labels(command: SetLabels, streams: Streams) -> Events:
    """Return what changes; nothing when everything is as it was."""
    state = _labelled(command.model_id, streams)
    number = command.number
    require_version(state, number)
    if number in state.hidden:
        raise NotFound(
            "unknown_version", f"{state.model} version {number} was deleted by a client of MLflow."
        )
    stages, aliases = _stages(command, state), _aliases(command, state)
    hidden = (number,) if command.hide else ()
    if not (stages or aliases or hidden):
        return {}
    return {stream_of(command.model_id): [LabelsChanged(state.model, stages, aliases, hidden)]}


def remove_alias(command: RemoveLabelAlias, streams: Streams) -> Events:
    state = _labelled(command.model_id, streams)
    if command.alias not in state.label_aliases:
        return {}
    return {stream_of(command.model_id): [LabelsChanged(state.model, aliases={command.alias: 0})]}


def hide_model(command: HideModel, streams: Streams) -> Events:
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    if state.model_hidden == command.hidden:
        return {}
    seen = [n for n, v in state.versions.items() if not v.retired and n not in state.hidden]
    governed = streams.state(MODES, MODES_STREAM).of(namespace_of(state.model)) != "labels"
    if governed and command.hidden and seen:
        raise RuleBroken(
            "model_has_versions",
            f"{state.model} has {len(seen)} versions that are not retired, and its namespace is governed: "
            "retire them first (`regista versions retire`).",
        )
    ending: dict[str, Any] = {}
    if command.hidden:  # a model that is created again begins without the versions and labels of before
        ending = {"aliases": dict.fromkeys(state.label_aliases, 0), "hidden": tuple(sorted(seen))}
    event = LabelsChanged(state.model, model_hidden=command.hidden, **ending)
    return {stream_of(command.model_id): [event]}


def _labelled(model_id: str, streams: Streams) -> ModelState:
    """Return the state of a model. Raise RuleBroken where its namespace has no labels."""
    state = require_model(streams.state(MODEL, stream_of(model_id)))
    namespace = namespace_of(state.model)
    if streams.state(MODES, MODES_STREAM).of(namespace) != "labels":
        raise RuleBroken(
            "namespace_governed",
            f"The namespace of {state.model} is governed, so its stages and aliases are Regista's: use "
            "promotions and aliases, or have an admin choose the mode `labels` (`regista mlflow mode`).",
        )
    return state


def _stages(command: SetLabels, state: ModelState) -> tuple[Label, ...]:
    wanted = command.stage
    if wanted is None:
        return ()
    others = [
        Label(number, "Archived")
        for number, stage in sorted(state.labels.items())
        if command.archive_existing and stage == wanted and number != command.number
    ]
    same = state.labels.get(command.number, "None") == wanted
    return (*others, *([] if same else [Label(command.number, wanted)]))


def _aliases(command: SetLabels, state: ModelState) -> dict[str, int]:
    if command.hide:
        return {alias: 0 for alias, number in state.label_aliases.items() if number == command.number}
    alias = command.alias
    if not alias or state.label_aliases.get(alias) == command.number:
        return {}
    if not _ALIAS.fullmatch(alias) or _RESERVED.fullmatch(alias):
        raise Unprocessable(
            "invalid_label",
            f"{alias!r:.80} cannot be an alias: use at most 255 letters, digits, '_' and '-', and neither "
            "`latest` nor v with a number.",
        )
    if alias not in state.label_aliases and len(state.label_aliases) >= MOST_ALIASES:
        raise RuleBroken("too_many_aliases", f"A model has at most {MOST_ALIASES} aliases: remove some.")
    return {alias: command.number}


DECIDERS: Mapping[type, Joint[Any]] = {
    SetLabels: Joint(set_labels),
    RemoveLabelAlias: Joint(remove_alias),
    HideModel: Joint(hide_model),
}
