"""Make a version of a trained model, with the number that its changes prove, or refuse it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any

from semver import Version

from regista.wire.contradictions import is_outside
from services.registry.domain.model import past
from services.registry.domain.model.events import (
    ChildLinked,
    MetadataAdded,
    ModelRegistered,
    RegistrationRefused,
    VersionRegistered,
)
from services.registry.domain.model.fold import MODEL
from services.registry.domain.model.metadata import (
    Metadata,
    Problem,
    earlier_identity,
    identity,
    merged,
    short,
)
from services.registry.domain.model.state import (
    Events,
    ModelState,
    VersionState,
    require_model,
    require_version,
    stream_of,
)
from services.registry.domain.naming.name import NAME, NameClaimed, check_name
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.registration.base import choose_base
from services.registry.domain.registration.checks import (
    name_claimed,
    other_makers,
    problems_of,
    too_large,
)
from services.registry.domain.registration.commands import AddMetadata, Registering, RegisterVersion
from services.registry.domain.registration.described import Described, described, not_taken_of_existing
from services.registry.domain.registration.mandatory import missing
from services.registry.domain.versioning.bump import Base, Bump, ClaimRefused, decide_number
from services.registry.domain.versioning.change import Change
from shared.deciding.decider import Joint, RuleBroken, Streams


def _documents(command: Registering, streams: Streams) -> set[past.Position]:
    """Return where the documents of the base, of the same version or draft, and of the champion are."""
    state = streams.state(MODEL, stream_of(command.model_id))
    own = command.number if isinstance(command, AddMetadata) else _same_number(state, command.identities)
    wanted = [choose_base(state, command.base, command.claim).number, own]
    return past.documents_of(command.model_id, state, wanted) | past.champion_at(
        command.model_id, state, past.PRODUCTION
    )


def register(command: RegisterVersion, streams: Streams) -> Events:
    """Register a version or a draft, or refuse with every failed rule.

    Nothing happens when the same version exists already.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    if command.new_model:
        if streams.state(NAME, name_stream(command.model)).model_id:
            raise name_claimed(command.model)
        check_name(command.model)
    elif existing(command, state, streams) is not None:
        problems = not_taken_of_existing(command, state) if command.strict else []
        return _refused(command, state, problems, None) if problems else {}
    kind = command.kind or "model" if command.new_model else require_model(state).kind
    problems = problems_of(command, command.metadata, state, kind, streams)
    number = (None, None) if command.draft else _number(command, command.metadata, kind, state, streams)
    about = described(command, state, streams)
    if command.strict:
        problems += about.not_taken
    if problems or isinstance(number, ClaimRefused):
        return _refused(command, state, problems, number)
    registered = VersionRegistered(
        **_model_fields(about.model, command, state, streams, complete=not command.draft),
        number=state.newest + 1,
        semver=str(number[0] or ""),
        identity=command.identity,
        metadata=command.metadata,
        bump=number[1],
        missing=missing(kind, command.metadata) if command.draft else (),
        contributors=(command.by,) if command.by else (),
        notes=_notes(command, about),
        started_by=(command.started_by,) if command.started_by else (),
    )
    if problem := too_large(registered):
        return _refused(command, state, [problem], None)
    events: Events = {}
    if command.new_model:
        events[name_stream(command.model)] = [NameClaimed(command.model, command.model_id)]
        events[stream_of(command.model_id)] = [about.model]
    elif about.change:
        events[stream_of(command.model_id)] = [about.change]
    events.setdefault(stream_of(command.model_id), []).append(registered)
    return events if command.draft else _linked(events, command.model_id, registered, streams)


def complete(command: AddMetadata, streams: Streams) -> Events:
    """Add metadata to a draft. It becomes a version as soon as nothing is missing."""
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_version(state, command.number, command.expected)
    if version.stage != "Draft" or version.retired:
        raise RuleBroken(
            "version_immutable",
            f"{state.model} version {command.number} is no draft: register a new version instead.",
        )
    draft = past.document_event(command.model_id, state, command.number, streams)
    before, after = draft.metadata, merged(draft.metadata, command.metadata)
    problems = problems_of(command, after, state, state.kind, streams) + other_makers(
        before.training, command.metadata.training
    )
    lacks = missing(state.kind, after)
    is_complete = not lacks and not command.keep_draft
    if not problems and not is_complete and after == before:
        return {}
    if is_complete and not problems:
        _check_new(state, command.number, after)
    number = (None, None) if not is_complete else _number(command, after, state.kind, state, streams)
    if problems or isinstance(number, ClaimRefused):
        return _refused(command, state, problems, number)
    added = MetadataAdded(
        **_model_fields(
            described(command, state, streams).model, command, state, streams, complete=is_complete
        ),
        number=command.number,
        semver=str(number[0] or ""),
        identity=identity(after),
        metadata=after,
        bump=number[1],
        missing=lacks,
        contributors=_with(draft.contributors, command.by),
        started_by=_with(draft.started_by, command.started_by),
    )
    if problem := too_large(added):
        return _refused(command, state, [problem], None)
    events: Events = {stream_of(command.model_id): [added]}
    return _linked(events, command.model_id, added, streams) if is_complete else events


def _with(people: tuple[str, ...], one: str) -> tuple[str, ...]:
    return people if not one or one in people else (*people, one)


def existing(command: RegisterVersion, state: ModelState, streams: Streams) -> int | None:
    """Return the number of the version (or draft, for a draft) with the same artifact and metadata.

    A draft that came from elsewhere is always new: the client numbers what it registers. Two imports of one
    version of another registry are the same, even when its metadata changed there.
    """
    if command.draft and command.metadata.external:
        return None
    number = _same_number(state, command.identities)
    version = state.versions.get(number)
    if version is None or not _can_answer(version):
        return None
    found = past.document_event(command.model_id, state, number, streams)
    imported = command.metadata.imported_from
    if imported and found.metadata.imported_from and imported.key == found.metadata.imported_from.key:
        return number
    if version.stage == "Draft" and not command.draft:
        return None
    if command.metadata.training.trained_at and not found.metadata.training.trained_at:
        return None  # the draft lacks what this one brings
    return number if found.identity in command.identities else None


def _same_number(state: ModelState, identities: Iterable[str]) -> int:
    """Return the number of the version with one of these identities, 0 if there is none."""
    return next(filter(None, (state.identities.get(short(one), 0) for one in identities)), 0)


def _can_answer(version: VersionState) -> bool:
    """Return whether the version answers a repeated registration.

    It does not when it is gone or its bytes are bad: a new version brings good ones.
    """
    return not version.retired and version.stage != "Rejected" and (version.released or not version.artifact)


def _check_new(state: ModelState, draft: int, after: Metadata) -> None:
    """Raise RuleBroken when a version has the identity of this document.

    The index alone decides: the draft's identity is not known when past events are loaded, and 60 bits do not
    collide by chance.
    """
    number = _same_number(state, (identity(after), earlier_identity(after))) or draft
    if number != draft and state.versions[number].stage != "Draft" and _can_answer(state.versions[number]):
        raise RuleBroken(
            "same_version",
            f"{state.model} version {number} has this artifact and metadata already: use it, or add what "
            "differs.",
            number=number,
        )


def _notes(command: RegisterVersion, about: Described) -> tuple[str, ...]:
    notes = [f"{problem.field}: {problem.problem}" for problem in about.not_taken]
    if command.unknown_creator:
        notes.append(
            f"creator: no identity is called {command.metadata.training.creator!r:.120}, so no one is kept "
            "from approving this version as its creator: name a subject or a printed name"
        )
    return tuple(notes)


def _model_fields(
    model: ModelRegistered, command: Registering, state: ModelState, streams: Streams, *, complete: bool
) -> dict[str, Any]:
    """Return the fields of the version's event about its model. A complete version also has the champion."""
    number = past.champion_number(state, past.PRODUCTION) if complete else 0
    return {
        "model": model.model,
        "kind": model.kind,
        "tier": model.tier,
        "tags": model.tags,
        "owner": model.owner,
        "champion": past.champion(command.model_id, state, number, streams),
    }


def _number(
    command: Registering,
    metadata: Metadata,
    kind: str,
    state: ModelState,
    streams: Streams,
) -> tuple[Version, Bump] | ClaimRefused:
    chosen = choose_base(state, command.base, command.claim)
    base = None
    if chosen.number:
        semver = _parsed(state.versions[chosen.number].semver)
        base = Base(chosen.number, semver, past.document(command.model_id, state, chosen.number, streams))
    return decide_number(
        kind, base, metadata, command.claim, state.taken, command.policy, claim_is_free=chosen.is_free
    )


@lru_cache(maxsize=1_000)
def _parsed(semver: str) -> Version:
    """Return the parsed version. The same bases come again and again."""
    return Version.parse(semver)


def _refused(command: Registering, state: ModelState, problems: Sequence[Problem], number: object) -> Events:
    """Return the refusal, on the model's stream or, when there is no model, on the name's."""
    new_model = isinstance(command, RegisterVersion) and command.new_model
    name = command.model if isinstance(command, RegisterVersion) and new_model else state.model
    draft = command.number if isinstance(command, AddMetadata) else 0
    proof: tuple[Change, ...] = ()
    if isinstance(number, ClaimRefused):
        problems, proof = [*problems, Problem("version", number.reason)], number.proof
    digest, creator = past.artifact_digest(command.metadata), command.metadata.training.creator or ""
    refusal = RegistrationRefused(name, tuple(problems), draft, digest, creator, proof)
    return {name_stream(name) if new_model else stream_of(command.model_id): [refusal]}


def _linked(
    events: Events, model_id: str, child: VersionRegistered | MetadataAdded, streams: Streams
) -> Events:
    """Link the parents to their child in the same commit, so that no parent is retired before its child."""
    for parent in child.metadata.parents:
        if is_outside(parent.model):
            continue
        name = streams.state(MODEL, stream_of(parent.model_id)).model or child.model
        link = ChildLinked(name, parent.number, model_id, child.model, child.number, parent.relation)
        events.setdefault(stream_of(parent.model_id), []).append(link)
    return events


DECIDERS: Mapping[type, Joint[Any]] = {
    RegisterVersion: Joint(register, _documents),
    AddMetadata: Joint(complete, _documents),
}
