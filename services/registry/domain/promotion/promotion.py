"""Promotion: a request with one digest of all its evidence, and a grant that must repeat that digest."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce
from typing import Any

import msgspec

from services.registry.domain import noted
from services.registry.domain.model import past
from services.registry.domain.model.events import (
    Entry,
    PromotionRefused,
    PromotionRequested,
    RolloutChanged,
    VersionPromoted,
    VersionValidated,
)
from services.registry.domain.model.fold import MODEL, evolve
from services.registry.domain.model.past import MOST_BYTES, Position
from services.registry.domain.model.state import (
    Events,
    ModelState,
    OpenPromotion,
    VersionState,
    open_requests,
    require_model,
    require_usable,
    serving_key,
    stream_of,
    unusable_because,
)
from services.registry.domain.promotion.evidence import evidence, evidence_digest, is_current, request_of
from services.registry.domain.serving import good_bytes
from services.registry.domain.serving.departure import departures
from services.registry.domain.serving.rollout import declared_environment, granted, way_to_champion
from shared.deciding.decider import Joint, Misrouted, RuleBroken, Streams
from shared.deciding.events import Noted, encode
from shared.deciding.person import Person, is_one_of


@dataclass(frozen=True, slots=True)
class RequestPromotion:
    """Request a promotion. It reads ENVIRONMENTS.

    `promotion_id` is made from the cause; `requester` is the actor's subject. With `serve` the grant gives
    the version all requests, where no version serves. `selected_by`: who chose a description that selects
    weaker policies, as it was looked up. `people`: all by which that person, the requester and the makers are
    recognised, where there is one. `recalled_ancestors` are the
    recalled versions that it was made from, in words; they are part of the evidence.
    """

    model_id: str
    number: int
    environment: str
    promotion_id: str
    requester: str
    expected: int | None = None
    serve: bool = False
    selected_by: str = ""
    people: Mapping[str, Person] = field(default_factory=dict)
    recalled_ancestors: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class GrantPromotion:
    """approval granted the promotion.

    `recalled_ancestors` are those of now; None leaves out the comparison with those at the request.
    """

    model_id: str
    note: Noted
    recalled_ancestors: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class DenyPromotion:
    """approval denied the promotion."""

    model_id: str
    note: Noted


def request(command: RequestPromotion, streams: Streams) -> Events:
    """Open a request with its evidence.

    An open request on the same evidence stays; one on other evidence is superseded.
    """
    state = streams.state(MODEL, stream_of(command.model_id))
    version = require_usable(state, command.number, command.expected)
    production = declared_environment(state, command.environment, streams).production
    _check_promotable(command, version, state)
    if granted(state, command.environment, command.number):
        return {}
    _check_serve(command, state)
    _check_selection(command, state, streams)
    before = open_requests(state, command.number, command.environment)
    if any(
        promotion.serve == command.serve
        and is_current(command.model_id, promotion, state, streams, command.recalled_ancestors)
        for promotion in before.values()
    ):
        return {}
    why = (f"superseded by {command.promotion_id}",)
    superseded = [
        PromotionRefused(state.model, command.number, version.semver, id_, command.environment, why)
        for id_ in before
    ]
    requested = _requested(command, version, state, streams, production=production)
    if len(encode(requested)) > MOST_BYTES:
        raise RuleBroken(
            "evidence_too_large",
            f"The evidence (metadata, evaluations, champion) is larger than {MOST_BYTES:,} bytes: register "
            "a version with less metadata.",
        )
    return {stream_of(command.model_id): [*superseded, requested]}


def _requested(
    command: RequestPromotion,
    version: VersionState,
    state: ModelState,
    streams: Streams,
    *,
    production: bool,
) -> PromotionRequested:
    """Return the request with its evidence."""
    now = past.champion_number(state, command.environment)
    champion = msgspec.to_builtins(past.champion(command.model_id, state, now, streams))
    shown = evidence(
        command.model_id,
        state,
        command.number,
        command.environment,
        streams,
        champion,
        command.recalled_ancestors,
    )
    training = past.document(command.model_id, state, command.number, streams).training
    return PromotionRequested(
        state.model,
        command.number,
        version.semver,
        command.promotion_id,
        command.environment,
        evidence_digest(shown),
        command.requester,
        training.creator or "",
        training.on_behalf_of,
        shown,
        command.serve,
        production,
    )


def _check_promotable(command: RequestPromotion, version: VersionState, state: ModelState) -> None:
    step, way = way_to_champion(state, command.environment, command.number)
    if step in good_bytes.STEPS:
        raise good_bytes.not_good(state, command.number)
    if step == "rollback":
        raise RuleBroken(
            "served_before",
            f"{state.model} version {command.number} has served in {command.environment} and left: {way}.",
            number=command.number,
            next_step=step,
        )
    if step == "wait":
        raise RuleBroken(
            "not_validated",
            f"{state.model} version {command.number} is {version.stage}, and only Validated versions are "
            "promoted: wait until its gates and its artifact are good.",
            stage=version.stage,
            next_step=step,
        )


def _check_serve(command: RequestPromotion, state: ModelState) -> None:
    now = past.champion_number(state, command.environment)
    if command.serve and now:
        raise RuleBroken(
            "serves_already",
            f"Version {now} serves in {command.environment}, so a grant switches no requests: request the "
            "promotion without `serve`, and switch to the version after the grant.",
            number=now,
            next_step="promote",
        )


def _check_selection(command: RequestPromotion, state: ModelState, streams: Streams) -> None:
    """Raise RuleBroken when the person who chose weaker gates made or requests what they are for."""
    if state.selected_by != command.selected_by:
        raise Misrouted("description_changed", "The model's description has just changed: look it up again.")
    makers = past.makers(command.model_id, state, command.number, streams)
    if state.selected_by and is_one_of(state.selected_by, (command.requester, *makers), command.people):
        raise RuleBroken(
            "own_selection",
            f"{state.selected_by} chose the tags and the tier of {state.model}, which select weaker gates, "
            "and made or requests this version: have another approver give the model the same tags and tier "
            "again (`regista models edit`), then repeat the request.",
        )


def grant(command: GrantPromotion, streams: Streams) -> Events:
    """Promote the version when the grant matches the open request, with unchanged evidence and good bytes.

    Otherwise refuse, with an event. A second grant of the same request (a review completed after an override)
    changes nothing.
    """
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    decided: noted.PromotionGranted = noted.read(command.note)
    version = state.versions.get(decided.number)
    here = serving_key(decided.environment, decided.number)
    if version is None or decided.promotion_id in {state.promoted.get(here), state.spent.get(here)}:
        return {}
    reasons = _objections(command, decided, state, streams)
    events: list[Any] = [command.note]
    if reasons:
        events.append(
            PromotionRefused(
                state.model,
                decided.number,
                version.semver,
                decided.promotion_id,
                decided.environment,
                tuple(reasons),
            )
        )
        return {stream_of(command.model_id): events}
    open_request = state.promotions[decided.promotion_id]
    events.append(
        VersionPromoted(
            state.model,
            decided.number,
            version.semver,
            decided.promotion_id,
            decided.environment,
            decided.digest,
            decided.approvers,
            decided.override,
            open_request.production,
            decided.conditions,
            decided.review_id,
        )
    )
    if version.stage == "Archived" and not open_request.production:
        events.append(VersionValidated(state.model, decided.number, version.semver))
    after = reduce(evolve, events[1:], state)
    events += _served(command.model_id, open_request, after, streams)
    return {stream_of(command.model_id): events}


def _served(model_id: str, request: OpenPromotion, state: ModelState, streams: Streams) -> list[Any]:
    """Return the switch to a version that was promoted to serve, where no version serves; else nothing."""
    if not request.serve or past.champion_number(state, request.environment):
        return []
    champion = past.champion(model_id, state, request.number, streams)
    entries = (Entry(request.number, state.versions[request.number].semver, 100, "champion"),)
    changed = RolloutChanged(state.model, request.environment, entries, (), champion, request.production)
    return [changed, *departures(state, changed)]


def _objections(
    command: GrantPromotion, decided: noted.PromotionGranted, state: ModelState, streams: Streams
) -> list[str]:
    promotion = state.promotions.get(decided.promotion_id)
    if promotion is None:
        return ["no such promotion is open: request it again"]
    version, reasons = state.versions[promotion.number], []
    if (decided.number, decided.environment) != (
        promotion.number,
        promotion.environment,
    ) or decided.digest != promotion.digest:
        reasons.append("the grant does not match the request: request it again")
    if decided.override and (decided.review_id or decided.promotion_id) in promotion.unjustified:
        reasons.append("the override was found unjustified: request it again, for people to approve")
    if why := unusable_because(version):
        reasons.append(f"the version is {why}")
    elif version.stage not in {"Validated", "Production", "Archived"}:
        reasons.append(f"the version is {version.stage}, no longer Validated")
    if not version.released:
        step, way = good_bytes.way_to_good_bytes(version)
        then = "request the promotion of that one" if step == "register" else "request it again"
        reasons.append(f"the artifact is not noted as good: {way}, then {then}")
    if not is_current(command.model_id, promotion, state, streams):
        reasons.append(
            "metadata, evaluations, artifact, tier or tags have changed since the request: request it again"
        )
    before = request_of(command.model_id, promotion, streams).evidence.get("recalled_ancestors", ())
    if recalled := sorted(set(command.recalled_ancestors or ()) - set(before)):
        reasons.append(f"since the request: the version {'; '.join(recalled)}: request it again")
    return reasons


def deny(command: DenyPromotion, streams: Streams) -> Events:
    """Close the request with approval's reasons."""
    state = require_model(streams.state(MODEL, stream_of(command.model_id)))
    denied: noted.PromotionDenied = noted.read(command.note)
    promotion = state.promotions.get(denied.promotion_id)
    if promotion is None:
        return {}
    semver = state.versions[promotion.number].semver
    refused = PromotionRefused(
        state.model,
        promotion.number,
        semver,
        denied.promotion_id,
        promotion.environment,
        denied.reasons or ("denied",),
    )
    return {stream_of(command.model_id): [command.note, refused]}


def _evidence_of_request(command: RequestPromotion, streams: Streams) -> set[Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    champion = past.champion_at(command.model_id, state, command.environment)
    requests = {
        (stream_of(command.model_id), p.revision)
        for p in open_requests(state, command.number, command.environment).values()
    }
    return past.evidence_at(command.model_id, state, command.number) | champion | requests


def _evidence_of_grant(command: GrantPromotion, streams: Streams) -> set[Position]:
    state = streams.state(MODEL, stream_of(command.model_id))
    promotion = state.promotions.get(noted.read(command.note).promotion_id)
    if promotion is None:
        return set()
    return past.evidence_at(command.model_id, state, promotion.number) | {
        (stream_of(command.model_id), promotion.revision)
    }


DECIDERS: Mapping[type, Joint[Any]] = {
    RequestPromotion: Joint(request, _evidence_of_request),
    GrantPromotion: Joint(grant, _evidence_of_grant),
    DenyPromotion: Joint(deny),
}
