"""How a trained model becomes a version: registered with an honest number, or refused with everything that is missing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any, cast

from semver import Version

from services.registry.domain.model.events import (
    ChildLinked,
    MetadataAdded,
    ModelRegistered,
    RegistrationRefused,
    VersionRegistered,
)
from services.registry.domain.model.state import (
    Events,
    ModelState,
    VersionState,
    known,
    stream_of,
    unusable_because,
    version_of,
)
from services.registry.domain.naming.name import NameClaimed, check_name
from services.registry.domain.naming.name import stream_of as name_stream
from services.registry.domain.promotion import evidence
from services.registry.domain.promotion.evidence import MOST_BYTES
from services.registry.domain.registration.metadata import (
    Kind,
    Metadata,
    Problem,
    Tier,
    Training,
    contradictions,
    identity,
    merged,
    missing,
    short,
)
from services.registry.domain.versioning.bump import Base, Bump, Claim, ClaimRefused, numbered
from services.registry.domain.versioning.change import Change
from shared.deciding.decider import Joint, Misrouted, RuleBroken, Streams
from shared.deciding.events import encode

RECENT = 1_000
NO_CLAIM = Claim()


@dataclass(frozen=True, slots=True)
class RegisterVersion:
    """What `ModelTrained` asks for. With `new_model` the name was free when it was looked up; `model_id` is then made from the cause.

    What describes the model (`kind` to `tags`) counts only when the model is new. `base` is a number, or a
    semantic version that was not found yet. `by` is the actor's subject. The streams of all parents are
    written, too (`name-<name>` is depended on for a parent of no known model).
    """

    model_id: str
    model: str
    metadata: Metadata
    new_model: bool = False
    draft: bool = False
    kind: Kind | None = None
    owner: str = ""
    tier: Tier | None = None
    description: str = ""
    tags: dict[str, str] = field(default_factory=dict)
    claim: Claim = NO_CLAIM
    base: int | str | None = None
    by: str = ""
    identity: str = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "identity", identity(self.metadata))


@dataclass(frozen=True, slots=True)
class AddMetadata:
    """Completes a draft, in one step or several: what is given replaces what was there.

    `keep_draft`: not yet, even if nothing is missing.
    """

    model_id: str
    number: int
    metadata: Metadata
    keep_draft: bool = False
    expected: int | None = None
    claim: Claim = NO_CLAIM
    base: int | str | None = None
    by: str = ""


Registering = RegisterVersion | AddMetadata


def recall(command: Registering, streams: Streams) -> set[evidence.Place]:
    """The documents to compare with: the base's, the one that may be the same, the draft's own, and the champion's evidence."""
    state: ModelState = streams.states[stream_of(command.model_id)]
    own = (
        command.number
        if isinstance(command, AddMetadata)
        else state.identities.get(short(command.identity), 0)
    )
    wanted = [_base_number(state, command.base) or 0, own]
    return evidence.documents_of(command.model_id, state, wanted) | evidence.champion_at(
        command.model_id, state, evidence.PRODUCTION
    )


def decide_version(command: RegisterVersion, streams: Streams) -> Events:
    """A version, a draft, a refusal with every failed rule, or nothing when the same version is there already."""
    state: ModelState = streams.states[stream_of(command.model_id)]
    if command.new_model:
        if streams.states[name_stream(command.model)].model_id:
            raise Misrouted(
                "name_claimed", f"{command.model} was registered meanwhile: look its id up again."
            )
        check_name(command.model)
    elif existing(command, state, streams) is not None:
        return {}
    kind = command.kind or "model" if command.new_model else known(state).kind
    problems = _problems(command, state, kind, streams)
    numbered_ = (None, None) if command.draft else _number(command, command.metadata, kind, state, streams)
    if problems or isinstance(numbered_, ClaimRefused):
        return _refused(command, state, problems, numbered_)
    model = _described(command, state)
    born = VersionRegistered(
        **_at_birth(model, command, state, streams, complete=not command.draft),
        number=state.newest + 1,
        semver=str(numbered_[0] or ""),
        identity=command.identity,
        metadata=command.metadata,
        bump=numbered_[1],
        missing=missing(kind, command.metadata),
        contributors=(command.by,) if command.by else (),
    )
    if problem := _too_large(born):
        return _refused(command, state, [problem], None)
    events: Events = {}
    if command.new_model:
        events[name_stream(command.model)] = [NameClaimed(command.model, command.model_id)]
        events[stream_of(command.model_id)] = [model]
    events.setdefault(stream_of(command.model_id), []).append(born)
    return events if command.draft else _linked(events, command.model_id, born, streams)


def decide_metadata(command: AddMetadata, streams: Streams) -> Events:
    """The draft with what it learnt, as a version as soon as nothing is missing."""
    state: ModelState = streams.states[stream_of(command.model_id)]
    version = version_of(state, command.number, command.expected)
    if version.stage != "Draft" or version.retired:
        raise RuleBroken(
            "version_immutable",
            f"{state.model} version {command.number} is no draft: register a new version instead.",
        )
    draft: VersionRegistered | MetadataAdded = streams.past[evidence.document_at(command.model_id, version)]
    before, after = draft.metadata, merged(draft.metadata, command.metadata)
    problems = _problems(replace(command, metadata=after), state, state.kind, streams) + _other_makers(
        before.training, command.metadata.training
    )
    lacks = missing(state.kind, after)
    complete = not lacks and not command.keep_draft
    if not problems and not complete and after == before:
        return {}
    if complete and not problems:
        _check_new(state, command.number, identity(after))
    numbered_ = (None, None) if not complete else _number(command, after, state.kind, state, streams)
    if problems or isinstance(numbered_, ClaimRefused):
        return _refused(command, state, problems, numbered_)
    learnt = MetadataAdded(
        **_at_birth(_described(command, state), command, state, streams, complete=complete),
        number=command.number,
        semver=str(numbered_[0] or ""),
        identity=identity(after),
        metadata=after,
        bump=numbered_[1],
        missing=lacks,
        contributors=tuple(dict.fromkeys((*draft.contributors, *((command.by,) if command.by else ())))),
    )
    if problem := _too_large(learnt):
        return _refused(command, state, [problem], None)
    events: Events = {stream_of(command.model_id): [learnt]}
    return _linked(events, command.model_id, learnt, streams) if complete else events


def existing(command: RegisterVersion, state: ModelState, streams: Streams) -> int | None:
    """The number of the version (or draft, for a draft) with the same artifact and metadata."""
    number = state.identities.get(short(command.identity), 0)
    version = state.versions.get(number)
    if version is None or not _stands(version) or (version.stage == "Draft" and not command.draft):
        return None
    return (
        number
        if streams.past[evidence.document_at(command.model_id, version)].identity == command.identity
        else None
    )


def _stands(version: VersionState) -> bool:
    """Whether it answers for its artifact and metadata given again: not once it is gone, or its bytes turned out bad (a new version brings good ones)."""
    return not version.retired and version.stage != "Rejected" and (version.released or not version.artifact)


def _check_new(state: ModelState, draft: int, identity_: str) -> None:
    """By the index alone: what the draft becomes is not known when documents are recalled, and 60 bits never collided by chance."""
    number = state.identities.get(short(identity_), draft)
    if number != draft and state.versions[number].stage != "Draft" and _stands(state.versions[number]):
        raise RuleBroken(
            "same_version",
            f"{state.model} version {number} has this artifact and metadata already: use it, or say what differs.",
            number=number,
        )


def _other_makers(before: Training, told: Training) -> list[Problem]:
    """Who made a draft stays who made it: they never approve it."""
    return [
        Problem(
            f"training.{name}",
            f"the draft names {was!r:.120}, which stays: leave it out, or register a version of your own",
        )
        for name in ("creator", "on_behalf_of")
        if (was := getattr(before, name)) and getattr(told, name) not in {None, was}
    ]


def _too_large(event: VersionRegistered | MetadataAdded) -> Problem | None:
    size = len(encode(event))
    if size <= MOST_BYTES:
        return None
    told = {
        "training": event.metadata.training,
        "signature": event.metadata.signature,
        "artifact": event.metadata.artifact,
    }
    largest = max(told, key=lambda name: len(encode(told[name])))
    return Problem(
        largest,
        f"the version would take {size:,} bytes, a version has at most {MOST_BYTES:,}: say less here, or put it into the artifact",
    )


def _described(command: Registering, state: ModelState) -> ModelRegistered:
    """The model as the version's event tells it: as it is, or as it is about to be registered."""
    if isinstance(command, RegisterVersion) and command.new_model:
        tier, kind = command.tier or "low", command.kind or "model"
        return ModelRegistered(command.model, kind, command.owner, tier, command.description, command.tags)
    kind, tier = cast("Kind", state.kind), cast("Tier", state.tier)
    return ModelRegistered(state.model, kind, state.owner, tier, state.description, dict(state.tags))


def _at_birth(
    model: ModelRegistered, command: Registering, state: ModelState, streams: Streams, *, complete: bool
) -> dict[str, Any]:
    number = evidence.champion_number(state, evidence.PRODUCTION) if complete else 0
    champion = evidence.champion(command.model_id, state, number, streams)
    return {
        "model": model.model,
        "kind": model.kind,
        "tier": model.tier,
        "tags": model.tags,
        "owner": model.owner,
        "champion": champion,
    }


def _problems(command: Registering, state: ModelState, kind: str, streams: Streams) -> list[Problem]:
    problems = contradictions(command.metadata)
    if isinstance(command, RegisterVersion):
        if state.kind and command.kind not in {None, state.kind}:
            problems.append(
                Problem("kind", f"{state.model} is of kind {state.kind}: use that kind, or another model")
            )
        if not command.draft:
            problems += [
                Problem(name, f"missing; it is mandatory for the kind {kind}")
                for name in missing(kind, command.metadata)
            ]
    if command.base is not None and _base_number(state, command.base) is None:
        problems.append(
            Problem("base", f"{command.base} is no complete version of this model: name one, or leave it out")
        )
    return problems + _parent_problems(command, streams)


def _parent_problems(command: Registering, streams: Streams) -> list[Problem]:
    problems = []
    for n, parent in enumerate(command.metadata.parents):
        if not parent.model_id:
            if streams.states[name_stream(parent.model)].model_id:
                raise Misrouted(
                    "name_claimed", f"{parent.model} was registered meanwhile: look its id up again."
                )
            problems.append(
                Problem(f"parents.{n}.model", f"there is no model {parent.model}: register it first")
            )
            continue
        if stream_of(parent.model_id) not in streams.states:
            raise Misrouted("parent_missing", f"The stream of the parent {parent.model} is needed, too.")
        version = streams.states[stream_of(parent.model_id)].versions.get(parent.number)
        why = unusable_because(version) if version else "unknown"
        if why:
            problems.append(
                Problem(
                    f"parents.{n}.number",
                    f"{parent.model} version {parent.number} is {why}: name another version",
                )
            )
    return problems


def _number(
    command: Registering,
    metadata: Metadata,
    kind: str,
    state: ModelState,
    streams: Streams,
) -> tuple[Version, Bump] | ClaimRefused:
    number = _base_number(state, command.base)
    base = None
    if number:
        base = Base(
            number,
            _parsed(state.versions[number].semver),
            evidence.document(command.model_id, state, number, streams),
        )
    return numbered(kind, base, metadata, command.claim, state.taken)


@lru_cache(maxsize=1_000)
def _parsed(semver: str) -> Version:
    """The same bases come again and again."""
    return Version.parse(semver)


def _base_number(state: ModelState, declared: int | str | None) -> int | None:
    """The declared base, else the newest version that was ever Validated, else the newest complete one; None where there is none.

    A semantic version that the intake did not find can only be of the last moments: it is looked for among
    the newest.
    """
    if isinstance(declared, str):
        newest = range(state.newest, max(0, state.newest - RECENT), -1)
        return next((n for n in newest if n in state.versions and state.versions[n].semver == declared), None)
    number = declared or state.newest_validated or state.newest_complete
    version = state.versions.get(number)
    return number if version is not None and version.semver else None


def _refused(command: Registering, state: ModelState, problems: Sequence[Problem], claim: object) -> Events:
    """On the model's stream, or on the name's where there is no model yet."""
    new_model = isinstance(command, RegisterVersion) and command.new_model
    name = command.model if isinstance(command, RegisterVersion) and new_model else state.model
    number = command.number if isinstance(command, AddMetadata) else 0
    proof: tuple[Change, ...] = ()
    if isinstance(claim, ClaimRefused):
        problems, proof = [*problems, Problem("version", claim.reason)], claim.proof
    digest, creator = evidence.artifact_digest(command.metadata), command.metadata.training.creator or ""
    refusal = RegistrationRefused(name, tuple(problems), number, digest, creator, proof)
    return {name_stream(name) if new_model else stream_of(command.model_id): [refusal]}


def _linked(
    events: Events, model_id: str, child: VersionRegistered | MetadataAdded, streams: Streams
) -> Events:
    """The parents learn of their child in the same commit: from then on they are not retired before it."""
    for parent in child.metadata.parents:
        name = streams.states[stream_of(parent.model_id)].model or child.model
        link = ChildLinked(name, parent.number, model_id, child.model, child.number, parent.relation)
        events.setdefault(stream_of(parent.model_id), []).append(link)
    return events


DECIDERS: Mapping[type, Joint[Any]] = {
    RegisterVersion: Joint(decide_version, recall),
    AddMetadata: Joint(decide_metadata, recall),
}
