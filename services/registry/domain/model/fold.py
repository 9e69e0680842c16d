"""The fold of a model's events into its state. It never raises and has no rules: stored events are facts."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import Any, assert_never

from immutables import Map
from msgspec.structs import replace

from services.registry.domain import noted
from services.registry.domain.model import events as e
from services.registry.domain.model.metadata import short
from services.registry.domain.model.state import (
    INITIAL,
    Alias,
    EvaluationRef,
    ModelState,
    NoteRef,
    OpenPromotion,
    Rollout,
    VersionState,
    higher,
    open_requests,
    precedence,
    serving_key,
    stands_by_override,
    with_version,
)
from shared.deciding.decider import Fold
from shared.deciding.events import Noted, encode

_Serving = (
    e.PromotionRequested
    | e.PromotionSpent
    | e.PromotionRefused
    | e.VersionPromoted
    | e.GrantWithdrawn
    | e.RolloutChanged
    | e.RolledBack
)
_Annotation = e.VersionDescribed | e.NoteAdded | e.NoteCorrected | e.MetadataCorrected
_Model = (
    e.ModelRegistered
    | e.ModelRenamed
    | e.OwnerChanged
    | e.TagsChanged
    | e.ChildLinked
    | e.ChildUnlinked
    | e.AliasSet
    | e.AliasRemoved
    | e.LabelsChanged
    | _Serving
)


def evolve(state: ModelState, event: e.ModelEvent | Noted) -> ModelState:
    """Return the state after one more event."""
    if isinstance(event, e.VersionRegistered):  # the most frequent event: copy the state once, not twice
        return _registered(state, event)
    state = replace(state, revision=state.revision + 1)
    match event:
        case Noted():
            return _note(state, event)
        case e.MetadataAdded():
            return _completed(state, event)
        case e.VersionValidated():
            return replace(
                with_version(state, event.number, stage="Validated"),
                highest_validated=higher(state, event.number, event.semver, state.highest_validated),
            )
        case e.VersionRejected():
            return with_version(state, event.number, stage="Rejected")
        case e.VersionReopened():
            return with_version(state, event.number, stage="Staging", gates_passed=False)
        case e.RecallProposed() | e.VersionRecalled() | e.VersionReinstated():
            return _recalled(state, event)
        case e.VersionArchived():
            return with_version(_not_waiting(state, event.number), event.number, stage="Archived")
        case e.VersionRetired():
            return with_version(state, event.number, stage=event.stage, retired=True)
        case e.RetireRefused():
            return with_version(state, event.number)
        case e.LegalHoldPlaced():
            return with_version(state, event.number, held=True)
        case e.LegalHoldReleased():
            return with_version(state, event.number, held=False)
        case e.EvaluationRecorded():
            ref = EvaluationRef(
                state.revision, evaluation_digest(event.evaluation), measures(event.evaluation)
            )
            refs = (*state.evaluations.get(event.number, ()), ref)
            return with_version(
                replace(state, evaluations=state.evaluations.set(event.number, refs)), event.number
            )
        case e.RegistrationRefused():
            return state
        case e.VersionDescribed() | e.NoteAdded() | e.NoteCorrected() | e.MetadataCorrected():
            return with_version(_annotated(state, event), event.number)
        case _:
            return _evolve_model(state, event)


def _annotated(state: ModelState, event: _Annotation) -> ModelState:
    number, revision = event.number, state.revision
    match event:
        case e.VersionDescribed():
            return replace(state, descriptions=state.descriptions.set(number, revision))
        case e.MetadataCorrected():
            return replace(state, corrections=state.corrections.set(number, revision))
        case e.NoteAdded():
            added = NoteRef(event.by, text_digest(event.text))
            return replace(state, notes=state.notes.set(number, (*state.notes.get(number, ()), added)))
        case e.NoteCorrected():
            notes = tuple(
                NoteRef(ref.by, text_digest(event.text), ref.corrections + 1) if n == event.note else ref
                for n, ref in enumerate(state.notes.get(number, ()), 1)
            )
            return replace(state, notes=state.notes.set(number, notes))
        case _:
            assert_never(event)


def _recalled(
    state: ModelState, event: e.RecallProposed | e.VersionRecalled | e.VersionReinstated
) -> ModelState:
    number, recalls, proposals = event.number, state.recalls, state.recall_proposals
    match event:
        case e.RecallProposed():
            return with_version(replace(state, recall_proposals=proposals.set(number, event.by)), number)
        case e.VersionRecalled():
            return with_version(replace(state, recalls=recalls.set(number, event.by)), number, recalled=True)
        case e.VersionReinstated():
            recalls = recalls.delete(number) if number in recalls else recalls
            proposals = proposals.delete(number) if number in proposals else proposals
            state = replace(state, recalls=recalls, recall_proposals=proposals)
            return with_version(state, number, recalled=False, stage=event.stage)
        case _:
            assert_never(event)


def _evolve_model(state: ModelState, event: _Model) -> ModelState:
    match event:
        case e.ModelRegistered():
            return replace(
                state,
                model=event.model,
                kind=event.kind,
                owner=event.owner,
                description=event.description,
                tier=event.tier,
                tags=Map(event.tags),
                described=state.revision,
                selected_by=event.selected_by,
            )
        case e.ModelRenamed():
            return replace(state, model=event.model, described=state.revision)
        case e.OwnerChanged():
            return replace(state, owner=event.owner, described=state.revision)
        case e.TagsChanged():
            return replace(
                state,
                tags=Map(event.tags),
                tier=event.tier,
                description=event.description,
                described=state.revision,
                selected_by=event.selected_by,
            )
        case e.ChildLinked():
            return _children(state, event.number, 1)
        case e.ChildUnlinked():
            return _children(state, event.number, -1)
        case e.AliasSet():
            alias = Alias(event.number, event.protected, state.revision)
            return with_version(replace(state, aliases=state.aliases.set(event.alias, alias)), event.number)
        case e.AliasRemoved():
            return with_version(replace(state, aliases=_without(state.aliases, event.alias)), event.number)
        case e.LabelsChanged():
            return _labelled(state, event)
        case _:
            return _evolve_serving(state, event)


def _labelled(state: ModelState, event: e.LabelsChanged) -> ModelState:
    aliases = state.label_aliases
    for alias, number in event.aliases.items():
        aliases = aliases.set(alias, number) if number else _without(aliases, alias)
    hidden = state.model_hidden if event.model_hidden is None else event.model_hidden
    return replace(
        state,
        labels=state.labels.update({label.number: label.stage for label in event.stages}),
        label_aliases=aliases,
        hidden=state.hidden.update(dict.fromkeys(event.hidden, True)),
        model_hidden=hidden,
    )


def _evolve_serving(state: ModelState, event: _Serving) -> ModelState:
    match event:
        case e.PromotionRequested():
            promotion = OpenPromotion(
                event.number, event.environment, event.digest, state.revision, event.serve, event.production
            )
            makers = _with_makers(state.makers, event.requester, event.creator, event.on_behalf_of)
            promotions = state.promotions.set(event.promotion_id, promotion)
            return with_version(replace(state, promotions=promotions, makers=makers), event.number)
        case e.PromotionSpent():
            return with_version(state, event.number)  # the change of the rollout spent it
        case e.PromotionRefused():
            return with_version(
                replace(state, promotions=_without(state.promotions, event.promotion_id)), event.number
            )
        case e.VersionPromoted():
            stage = {"stage": "Production"} if event.production else {}
            return with_version(_promoted(state, event), event.number, **stage)
        case e.GrantWithdrawn():
            return with_version(_withdrawn(state, event), event.number)
        case e.RolloutChanged():
            return _rolled_out(state, event)
        case e.RolledBack():
            marks = state.rolled_back
            # A rollback that names a version which started later leaves the rolled-back mark off.
            to, left = (
                state.champions.get(serving_key(event.environment, n), 0)
                for n in (event.to_number, event.from_number)
            )
            if to < left:
                marks = marks.set(serving_key(event.environment, event.from_number), state.revision)
            state = _rolled_out(
                replace(state, rolled_back=_without(marks, serving_key(event.environment, event.to_number))),
                event,
            )
            stage = {"stage": "Production"} if event.production else {}
            return with_version(state, event.to_number, **stage)
        case _:
            assert_never(event)


def _promoted(state: ModelState, event: e.VersionPromoted) -> ModelState:
    """Let the version wait for its first requests by this promotion, unless it has a share already."""
    here = serving_key(event.environment, event.number)
    rollout = state.rollouts.get(event.environment)
    serving = rollout is not None and any(x.number == event.number and x.percent for x in rollout.entries)
    if here in state.withdrawn:  # it was champion by a grant that did not count, so it has not left either
        state = replace(state, left=_without(state.left, here), withdrawn=state.withdrawn.delete(here))
    overridden, other = _without(state.overridden, here), state.not_production
    if event.override:  # one of an older release names no review: it is its promotion's
        overridden = overridden.set(here, event.review_id or event.promotion_id)
    return replace(
        state,
        overridden=overridden,
        not_production=other if event.production else other.set(event.environment, True),
        promoted=state.promoted.set(here, event.promotion_id),
        promotions=_without(state.promotions, event.promotion_id),
        waiting=state.waiting if serving else state.waiting.set(here, event.number),
    )


def _withdrawn(state: ModelState, event: e.GrantWithdrawn) -> ModelState:
    here = serving_key(event.environment, event.number)
    return replace(
        state,
        promoted=_without(state.promoted, here),
        spent=state.spent.set(here, event.promotion_id),
        waiting=_without(state.waiting, here),
        withdrawn=state.withdrawn.set(here, event.review_id),
    )


def _registered(state: ModelState, event: e.VersionRegistered) -> ModelState:
    revision = state.revision + 1
    version = VersionState(event.semver, "Staging" if event.semver else "Draft", revision, revision)
    more = _numbered(state, event) if event.semver else _drafted(state, event)
    makers = _makers(state, event)
    versions = state.versions.set(event.number, version)
    return replace(
        state,
        revision=revision,
        newest=max(state.newest, event.number),
        versions=versions,
        makers=makers,
        **more,
    )


def _makers(state: ModelState, event: e.VersionRegistered | e.MetadataAdded) -> Map[str, bool]:
    training = event.metadata.training
    people = (training.creator, training.on_behalf_of, *event.contributors, *event.started_by)
    return _with_makers(state.makers, *people)


def _with_makers(makers: Map[str, bool], *people: str | None) -> Map[str, bool]:
    for person in people:
        if person and person not in makers:
            makers = makers.set(person, True)
    return makers


def _completed(state: ModelState, event: e.MetadataAdded) -> ModelState:
    state = replace(state, makers=_makers(state, event))
    if not event.semver:
        return replace(with_version(state, event.number, document=state.revision), **_drafted(state, event))
    state = with_version(state, event.number, document=state.revision, semver=event.semver, stage="Staging")
    return replace(state, **_numbered(state, event))


def _drafted(state: ModelState, event: e.VersionRegistered | e.MetadataAdded) -> dict[str, Any]:
    """Index a draft by its identity, unless a version has that identity."""
    identities = state.identities
    for key in _keys(event):
        identities = identities if key in identities else identities.set(key, event.number)
    return {"identities": identities}


def _keys(event: e.VersionRegistered | e.MetadataAdded) -> list[int]:
    """Return the keys of a version in the index: its identity, and where it was imported from."""
    imported = event.metadata.imported_from
    return [short(event.identity), *([short(imported.key)] if imported else ())]


def _numbered(state: ModelState, event: e.VersionRegistered | e.MetadataAdded) -> dict[str, Any]:
    """Return what changes in the model when a version gets its semantic version."""
    major, minor, patch = precedence(event.semver)
    line = f"{major}.{minor}"
    return {
        "highest": higher(state, event.number, event.semver, state.highest),
        "highest_major": max(state.highest_major, major),
        "minors": state.minors if state.minors.get(major, -1) >= minor else state.minors.set(major, minor),
        "patches": state.patches if state.patches.get(line, -1) >= patch else state.patches.set(line, patch),
        "identities": state.identities.update(dict.fromkeys(_keys(event), event.number)),
    }


def _children(state: ModelState, number: int, by: int) -> ModelState:
    return replace(state, children=state.children.set(number, max(0, state.children.get(number, 0) + by)))


def _not_waiting(state: ModelState, number: int) -> ModelState:
    """Return the state in which the version waits in no environment."""
    waiting = state.waiting
    for key in [key for key, waits in waiting.items() if waits == number]:
        waiting = waiting.delete(key)
    return replace(state, waiting=waiting)


def _rolled_out(state: ModelState, event: e.RolloutChanged | e.RolledBack) -> ModelState:
    """Store the champion before a version's first requests in an environment: a rollback goes there."""
    before, champion = (
        next((x.number for x in entries if x.role == "champion"), 0)
        for entries in (event.previous, event.entries)
    )
    served, waiting, champions = state.served, state.waiting, state.champions
    for entry in event.entries:
        here = serving_key(event.environment, entry.number)
        if entry.percent and here not in served:
            first = champion if champion != entry.number else 0
            served = served.set(here, before or _last(state, event.environment) or first)
        if entry.percent:
            waiting = _without(waiting, here)
    here = serving_key(event.environment, champion)
    if champion and here not in champions:
        champions = champions.set(here, state.revision)
    last = 0 if event.entries else before
    rollout = Rollout(event.entries, state.revision, last)
    state = replace(
        state,
        served=served,
        waiting=waiting,
        champions=champions,
        rollouts=state.rollouts.set(event.environment, rollout),
    )
    return _departed(state, event, champion if champion != before else 0)


def _last(state: ModelState, environment: str) -> int:
    """Return the champion before the rollout was stopped, 0 when it was not."""
    rollout = state.rollouts.get(environment)
    return rollout.last if rollout else 0


def _departed(state: ModelState, event: e.RolloutChanged | e.RolledBack, champion: int) -> ModelState:
    """Mark champions that left, and end the promotions of others that left, or that `champion` overtook."""
    waiting, left, ended = state.waiting, state.left, []
    for gone in {x.number for x in event.previous} - {x.number for x in event.entries}:
        here = serving_key(event.environment, gone)
        if here in state.champions:
            left = left.set(here, state.revision)
        elif here not in waiting:
            ended.append(here)
    for key, number in waiting.items() if champion else ():
        if number < champion and key == serving_key(event.environment, number):
            waiting = waiting.delete(key)
            ended.append(key)
    if isinstance(event, e.RolledBack):
        left = _without(left, serving_key(event.environment, event.to_number))
    promoted, spent = state.promoted, state.spent
    for key in ended:
        if key in promoted:
            promoted, spent = promoted.delete(key), spent.set(key, promoted[key])
    return replace(state, promoted=promoted, spent=spent, waiting=waiting, left=left)


def _note(state: ModelState, note: Noted) -> ModelState:
    """Only these change the state. Notes of older releases may hold verdicts for other stages."""
    type_, revision = note.source.type, note.source.revision
    if type_ == noted.GATES_EVALUATED:
        verdict: noted.GatesEvaluated = noted.read(note)
        if verdict.stage != "Validated":
            return with_version(state, verdict.number, gates=revision)
        policy = {"cap": verdict.challenger_cap, "two_to_recall": verdict.two_to_recall}
        return with_version(state, verdict.number, gates=revision, gates_passed=verdict.passed, **policy)
    if noted.READERS.get(type_) is noted.ArtifactReport:
        report: noted.ArtifactReport = noted.read(note)
        released = type_ == noted.ARTIFACT_RELEASED
        before = state.versions.get(report.number)
        good = before is not None and (before.released or before.withheld or not before.artifact)
        withheld = type_ == noted.ARTIFACT_RECALLED and good
        failed = noted.is_final(type_, report) or (before is not None and before.failed and not released)
        return with_version(
            state, report.number, artifact=revision, released=released, failed=failed, withheld=withheld
        )
    if type_ == noted.OVERRIDE_REVIEWED:
        return _reviewed(state, noted.read(note))
    return state


def _reviewed(state: ModelState, reviewed: noted.OverrideReviewed) -> ModelState:
    """Mark the open promotions that the unjustified override may still grant: topics have no order."""
    about, promotions = (reviewed.number, reviewed.environment), state.promotions
    if reviewed.justified or stands_by_override(state, *about, reviewed.review_id):
        return state
    for id_, p in open_requests(state, *about).items():
        promotions = promotions.set(
            id_, dataclasses.replace(p, unjustified=(*p.unjustified, reviewed.review_id))
        )
    return replace(state, promotions=promotions)


def evaluation_digest(evaluation: e.Evaluation) -> str:
    """Return a short digest for the state. A collision would only drop one evaluation."""
    return hashlib.sha256(encode(evaluation)).hexdigest()[:16]


def text_digest(text: str) -> str:
    """Return the digest by which the state compares texts."""
    return hashlib.sha256(text.encode()).hexdigest()


def measures(evaluation: e.Evaluation) -> str:
    """Return the digest of what an evaluation measures and who measured it.

    A newer one of the same corrects it.
    """
    x = evaluation
    return hashlib.sha256(encode([x.name, x.dataset_digest, x.definition, x.independent, x.by])).hexdigest()[
        :16
    ]


def _without(map_: Map[str, Any], key: str) -> Map[str, Any]:
    return map_.delete(key) if key in map_ else map_


MODEL: Fold[e.ModelEvent | Noted, ModelState] = Fold("model", INITIAL, evolve)
