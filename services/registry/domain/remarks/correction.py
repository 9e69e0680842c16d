"""Description and tags of a version, and corrections of metadata that no decision is bound to.

A correction keeps what stood before. Where an approver saw the field, the open promotion ends: its evidence
is no longer what was shown.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, cast
from urllib.parse import urlsplit

from regista.wire import limits
from services.registry.domain.model import past
from services.registry.domain.model.events import (
    Correction,
    MetadataCorrected,
    PromotionRefused,
    VersionDescribed,
)
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import correctable
from services.registry.domain.model.state import (
    Events,
    ModelState,
    VersionState,
    require_version,
    stream_of,
)
from services.registry.domain.naming.tags import check_tags
from shared.deciding.decider import Joint, RuleBroken, Streams, Unprocessable

LONGEST = {
    "training.run_url": limits.TEXT,
    "training.code.repository": limits.LABEL,
    "training.framework.name": limits.NAME,
    "training.framework.version": limits.LABEL,
}
"""The fields that may be corrected, each with its maximum length."""

_EVALUATE = "record a new evaluation (`regista versions evaluate`)"
_REGISTER = "register a new version (`regista publish`)"
_BOUND = {
    "evaluations": _EVALUATE,
    "training.metrics": _EVALUATE,
    "artifact": _REGISTER,
    "schema": _REGISTER,
    "signature": _REGISTER,
    "parents": _REGISTER,
    "training": _REGISTER,
}
"""What decisions are bound to, and what to do instead of a correction."""


@dataclass(frozen=True, slots=True)
class EditVersion:
    """Change description, tags and correctable metadata of a version in one step.

    None leaves the description as it is. `fields`: the new values, by path; "" or None removes one.
    `own_only`: `by`, the actor, may do this with own versions only.
    """

    model_id: str
    number: int
    by: str
    description: str | None = None
    set_tags: Mapping[str, str] = field(default_factory=dict)
    remove_tags: tuple[str, ...] = ()
    fields: Mapping[str, str | None] = field(default_factory=dict)
    own_only: bool = False
    expected: int | None = None


def edit(command: EditVersion, streams: Streams) -> Events:
    """Return the events of what changes; none when everything is as it was."""
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if command.own_only:
        past.check_own(command.by, command.model_id, state, command.number, streams)
    described = _described(command, version, state, streams)
    corrected = _corrected(command, version, state, streams) if command.fields else []
    events = [*([described] if described else []), *corrected]
    return {stream_of(command.model_id): events} if events else {}


def _described(
    command: EditVersion, version: VersionState, state: ModelState, streams: Streams
) -> VersionDescribed | None:
    description, tags = description_of(command.model_id, state, command.number, streams)
    now = description if command.description is None else command.description
    kept = {name: value for name, value in tags.items() if name not in command.remove_tags}
    new_tags = kept | dict(command.set_tags)
    check_tags(new_tags, "A version")
    if (now, new_tags) == (description, tags):
        return None
    return VersionDescribed(state.model, command.number, version.semver, now, new_tags, description, tags)


def description_of(
    model_id: str, state: ModelState, number: int, streams: Streams
) -> tuple[str, dict[str, str]]:
    """Return description and tags of a version."""
    if number not in state.descriptions:
        return "", {}
    event = cast("VersionDescribed", streams.past[stream_of(model_id), state.descriptions[number]])
    return event.description, dict(event.tags)


def _corrected(
    command: EditVersion, version: VersionState, state: ModelState, streams: Streams
) -> list[MetadataCorrected | PromotionRefused]:
    """Return the correction, after the refusals of the open promotions whose evidence has the field."""
    for path, value in command.fields.items():
        _check_field(path, value)
    if version.stage == "Draft":
        raise RuleBroken(
            "version_is_draft",
            f"{state.model} version {command.number} is a draft, which takes new metadata as it is: use "
            "`regista versions complete`.",
        )
    before = correctable(past.document(command.model_id, state, command.number, streams))
    after = {path: value or None for path, value in command.fields.items()}
    changes = tuple(
        Correction(path, before[path], value)
        for path, value in sorted(after.items())
        if value != before[path]
    )
    if (before | after)["training.framework.version"] and not (before | after)["training.framework.name"]:
        raise Unprocessable(
            "framework_unnamed", "Name the framework (training.framework.name) together with its version."
        )
    if not changes:
        return []
    valid = dict(past.corrections(command.model_id, state, command.number, streams))
    valid |= {change.field: change.after for change in changes}
    event = MetadataCorrected(state.model, command.number, version.semver, changes, valid)
    return [*_refused(command, version, state, changes), event]


def _check_field(path: str, value: str | None) -> None:
    if path not in LONGEST:
        beginnings = (".".join(path.split(".")[:n]) for n in range(path.count(".") + 1, 0, -1))
        instead = next((_BOUND[name] for name in beginnings if name in _BOUND), "")
        known = ", ".join(LONGEST)
        why = f"decisions are bound to it: {instead}" if instead else f"choose one of {known}"
        raise Unprocessable("not_correctable", f"{path!r:.120} is not corrected: {why}.", field=path)
    if value is not None and len(value) > LONGEST[path]:
        raise Unprocessable(
            "field_too_long", f"{path} has at most {LONGEST[path]} characters: shorten it.", field=path
        )
    if path == "training.run_url" and value and not _is_link(value):
        raise Unprocessable(
            "not_a_link",
            f"{value!r:.120} is no link: write it with its scheme and host, for example "
            'https://mlflow.example/runs/8, or give "" to remove the link.',
            field=path,
        )
    if path == "training.framework.name" and not value:
        raise Unprocessable(
            "field_required", "A framework is corrected, not removed: give its right name.", field=path
        )


def _is_link(text: str) -> bool:
    """Return whether the text has a scheme and a host, and nothing that a browser would run."""
    try:
        parts = urlsplit(text)
    except ValueError:
        return False
    runs = parts.scheme in {"javascript", "data", "vbscript"}
    return bool(parts.scheme and parts.netloc) and not runs and text.isprintable() and " " not in text


def _refused(
    command: EditVersion, version: VersionState, state: ModelState, changes: tuple[Correction, ...]
) -> list[PromotionRefused]:
    """End the open promotions: their approvers saw every correctable field."""
    fields = ", ".join(change.field for change in changes)
    why = f"lapsed: {fields} was corrected after the review was opened: request the promotion again"
    return [
        PromotionRefused(state.model, command.number, version.semver, id_, open_.environment, (why,))
        for id_, open_ in sorted(state.promotions.items())
        if open_.number == command.number
    ]


def _past(command: EditVersion, streams: Streams) -> set[past.Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    found = past.documents_of(command.model_id, state, [command.number])
    if command.number in state.descriptions:
        found.add((stream_of(command.model_id), state.descriptions[command.number]))
    return found


DECIDERS: Mapping[type, Joint[Any]] = {EditVersion: Joint(edit, _past)}
