"""The state of a model: what decisions need, folded from its stream.

It grows by a few words per version, never by documents.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import msgspec
from immutables import Map
from msgspec.structs import replace

from services.registry.domain.model.events import Entry
from services.registry.domain.versioning.bump import Taken
from shared.deciding.decider import NotFound, RuleBroken, Stale

Stage = Literal["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]
Events = dict[str, list[Any]]
"""The events of a decision, by stream."""
LATEST = "latest"
"""The reserved name of the newest version that may be used: `model@latest`."""
FURTHEST_BACK = 20
"""The number of predecessors that a rollback considers."""


class VersionState(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version. A snapshot of 100,000 Structs loads four times faster than one of dataclasses.

    `document` is the revision of the event that holds the metadata; `revision` is that of the last event
    about this version (its ETag). `artifact` and `gates` are the revisions of artifact's and approval's
    streams at the newest note (0: none yet). The bytes are good while `released`, and can never be while
    `failed`; `withheld` while only a withdrawal keeps them from use. `cap` is the percent of a production
    environment's requests that the policy which validated it allows without a promotion; -1 when the tier
    decides. `two_to_recall`: that policy wants a second person for a recall.
    """

    semver: str
    stage: Stage
    document: int
    revision: int
    artifact: int = 0
    released: bool = False
    gates: int = 0
    gates_passed: bool = False
    held: bool = False
    recalled: bool = False
    retired: bool = False
    cap: int = -1
    two_to_recall: bool = False
    failed: bool = False
    withheld: bool = False


@dataclass(frozen=True, slots=True)
class EvaluationRef:
    """An evaluation: its revision, its digest, and the digest of what it measures (all but the value)."""

    revision: int
    digest: str
    about: str


@dataclass(frozen=True, slots=True)
class NoteRef:
    """A note: its author, the digest of its text, and how often it was corrected."""

    by: str
    digest: str
    corrections: int = 0


@dataclass(frozen=True, slots=True)
class Alias:
    number: int
    protected: bool
    revision: int


@dataclass(frozen=True, slots=True)
class Rollout:
    """The versions that serve; none after a stop, when `last` is the champion before it."""

    entries: tuple[Entry, ...]
    revision: int
    last: int = 0

    @property
    def champion(self) -> Entry | None:
        return next((e for e in self.entries if e.role == "champion"), None)

    @property
    def is_split(self) -> bool:
        return sum(e.percent > 0 for e in self.entries) > 1


@dataclass(frozen=True, slots=True)
class OpenPromotion:
    """`revision` is that of the PromotionRequested event, which holds the evidence.

    `production`: whether the environment is one. `unjustified`: reviews of overrides that were found
    unjustified while it was open; a grant by such an override may still arrive.
    """

    number: int
    environment: str
    digest: str
    revision: int
    serve: bool = False
    production: bool = True
    unjustified: tuple[str, ...] = ()


class ModelState(msgspec.Struct, frozen=True, gc=False):
    """One model with all its versions. It is a Struct because most events replace a few of its many fields.

    `described` is the revision of the last event about the model itself (its ETag). `highest` is the number
    of the version with the highest semantic version, `highest_validated` the same among those that were ever
    Validated. The keys of these maps
    are `<environment>/<number>`: `served`: the champion before this version first got requests (0: none).
    `promoted`: the promotion by which the version may be champion there. `waiting`: promoted there, has
    not served by that promotion, and no newer version became champion since. `champions`: was champion there;
    the revision at which it first was. `spent`: the promotion that ended before the version was champion
    there. `overridden`: promoted by an override, with its review. `withdrawn`: that override was not
    justified, so the version gets no more requests there than it has. `left`: was champion there and left;
    only a rollback makes it champion again. `rolled_back`: a rollback left it. `recalls`: who recalled a
    version, by number; `recall_proposals`: who proposed that. `not_production`: the environments in which a
    promotion leaves the stage as it is. `selected_by`: who chose a description that selects a weaker policy.
    `makers`: everyone who is named as a maker of a version, or who requested a promotion.
    By number: `descriptions` and `corrections` are the revisions of the newest VersionDescribed and
    MetadataCorrected, `notes` the notes of a version. What MLflow's clients see: `labels` are the stages that
    they gave to versions by number, `label_aliases` numbers by alias; they do not see the versions in
    `hidden`, nor a model that is `model_hidden`.
    """

    model: str = ""
    kind: str = ""
    owner: str = ""
    description: str = ""
    tier: str = ""
    tags: Map[str, str] = msgspec.field(default_factory=Map)
    revision: int = 0
    described: int = 0
    newest: int = 0
    highest: int = 0
    highest_validated: int = 0
    highest_major: int = -1
    minors: Map[int, int] = msgspec.field(default_factory=Map)
    patches: Map[str, int] = msgspec.field(default_factory=Map)
    versions: Map[int, VersionState] = msgspec.field(default_factory=Map)
    identities: Map[int, int] = msgspec.field(default_factory=Map)
    evaluations: Map[int, tuple[EvaluationRef, ...]] = msgspec.field(default_factory=Map)
    children: Map[int, int] = msgspec.field(default_factory=Map)
    aliases: Map[str, Alias] = msgspec.field(default_factory=Map)
    rollouts: Map[str, Rollout] = msgspec.field(default_factory=Map)
    served: Map[str, int] = msgspec.field(default_factory=Map)
    promoted: Map[str, str] = msgspec.field(default_factory=Map)
    waiting: Map[str, int] = msgspec.field(default_factory=Map)
    left: Map[str, int] = msgspec.field(default_factory=Map)
    rolled_back: Map[str, int] = msgspec.field(default_factory=Map)
    promotions: Map[str, OpenPromotion] = msgspec.field(default_factory=Map)
    champions: Map[str, int] = msgspec.field(default_factory=Map)
    spent: Map[str, str] = msgspec.field(default_factory=Map)
    recalls: Map[int, str] = msgspec.field(default_factory=Map)
    recall_proposals: Map[int, str] = msgspec.field(default_factory=Map)
    not_production: Map[str, bool] = msgspec.field(default_factory=Map)
    selected_by: str = ""
    makers: Map[str, bool] = msgspec.field(default_factory=Map)
    overridden: Map[str, str] = msgspec.field(default_factory=Map)
    withdrawn: Map[str, str] = msgspec.field(default_factory=Map)
    descriptions: Map[int, int] = msgspec.field(default_factory=Map)
    corrections: Map[int, int] = msgspec.field(default_factory=Map)
    notes: Map[int, tuple[NoteRef, ...]] = msgspec.field(default_factory=Map)
    labels: Map[int, str] = msgspec.field(default_factory=Map)
    label_aliases: Map[str, int] = msgspec.field(default_factory=Map)
    hidden: Map[int, bool] = msgspec.field(default_factory=Map)
    model_hidden: bool = False

    @property
    def taken(self) -> Taken:
        return Taken(self.highest_major, self.minors, self.patches)


INITIAL = ModelState()


def stream_of(model_id: str) -> str:
    return f"model-{model_id}"


def precedence(semver: str) -> tuple[int, int, int]:
    """Return a semantic version in a form that compares by precedence."""
    major, minor, patch = map(int, semver.split("."))
    return major, minor, patch


def higher(state: ModelState, number: int, semver: str, other: int) -> int:
    """Return `number`, whose semantic version is `semver`, or `other` if that one's is not lower."""
    version = state.versions.get(other)
    return number if version is None or precedence(semver) > precedence(version.semver) else other


def serving_key(environment: str, number: int) -> str:
    """Return the key of a version in an environment."""
    return f"{environment}/{number}"


def require_model(state: ModelState) -> ModelState:
    """Return the state. Raise NotFound when the model does not exist."""
    if not state.revision or not state.model:
        raise NotFound(
            "unknown_model", "There is no such model: register a version of it, or check the name."
        )
    return state


def require_version(state: ModelState, number: int, expected: int | None = None) -> VersionState:
    """Return the version.

    Raise NotFound when there is none, Stale when it is not at the revision that the caller saw.
    """
    version = require_model(state).versions.get(number)
    if version is None:
        raise NotFound(
            "unknown_version",
            f"{state.model} has no version {number}: see its list of versions.",
            model=state.model,
            number=number,
        )
    if expected not in {None, version.revision}:
        raise Stale(
            "stale_version",
            f"Version {number} has changed since you read it: read it again, then repeat the request.",
            revision=version.revision,
        )
    return version


def require_usable(state: ModelState, number: int, expected: int | None = None) -> VersionState:
    """Return a version that may be used.

    Raise RuleBroken for a draft and for a retired, withdrawn or rejected version.
    """
    version = require_version(state, number, expected)
    why = unusable_because(version)
    if why:
        way = {
            "withdrawn": "choose another version, or have a second person reinstate it",
            "draft": "complete it, or choose another version",
        }.get(why, "choose another version")
        raise RuleBroken(f"version_{why}", f"{state.model} version {number} is {why}: {way}.", number=number)
    return version


def unusable_because(version: VersionState) -> str:
    """Return `retired`, `withdrawn`, `rejected`, `draft`, or "" for a usable version."""
    if version.retired:
        return "retired"
    if version.recalled:
        return "withdrawn"
    return {"Rejected": "rejected", "Draft": "draft"}.get(version.stage, "")


def latest(state: ModelState, among: int) -> int:
    """Return the number of the newest version that may be used, 0 for none `among` the newest numbers."""
    newest = range(state.newest, max(0, state.newest - among), -1)
    return next((n for n in newest if n in state.versions and not unusable_because(state.versions[n])), 0)


def open_requests(state: ModelState, number: int, environment: str) -> dict[str, OpenPromotion]:
    """Return the open promotions of a version to an environment, by id."""
    return {
        id_: p
        for id_, p in sorted(state.promotions.items())
        if (p.number, p.environment) == (number, environment)
    }


def stands_by_override(state: ModelState, number: int, environment: str, review_id: str) -> bool:
    """Return whether the version is promoted by the override with this review, and that still counts."""
    here = serving_key(environment, number)
    return state.overridden.get(here) == review_id and here not in state.withdrawn


def needed_by(state: ModelState, number: int) -> list[str]:
    """Return what needs this version, whatever its stage."""
    reasons = [f"it is in the rollout of {environment}" for environment in rolled_out(state, number)]
    reasons += [
        f"it has the alias {name}" for name, alias in sorted(state.aliases.items()) if alias.number == number
    ]
    if state.versions[number].held:
        reasons.append("it is under legal hold")
    if state.children.get(number, 0):
        reasons.append(f"{state.children[number]} live versions were made from it")
    return reasons


def predecessors(state: ModelState, environment: str, number: int) -> list[int]:
    """Return what served before this version first got requests, what served before that, and so on."""
    found: list[int] = []
    before = state.served.get(serving_key(environment, number), 0)
    while before and len(found) < FURTHEST_BACK:
        found.append(before)
        before = state.served.get(serving_key(environment, before), 0)
    return found


def is_production(state: ModelState, environment: str) -> bool:
    """Return whether an environment, in which a version of the model was promoted, is a production one."""
    return environment not in state.not_production


def was_champion(state: ModelState, number: int) -> bool:
    """Return whether the version was champion in any production environment."""
    return any(
        serving_key(environment, number) in state.champions and is_production(state, environment)
        for environment in state.rollouts
    )


def waits_in(state: ModelState, number: int) -> list[str]:
    """Return the environments to which the version is promoted and in which it has not served since."""
    return sorted(key.rpartition("/")[0] for key, waits in state.waiting.items() if waits == number)


def environments_of(state: ModelState) -> set[str]:
    """Return the environments in which versions serve, served, were promoted or may be promoted."""
    waiting = (key.rpartition("/")[0] for key in state.waiting)
    return {*state.rollouts, *waiting, *(p.environment for p in state.promotions.values())}


def rolled_out(state: ModelState, number: int) -> list[str]:
    """Return the environments whose rollout contains the version."""
    return sorted(
        name for name, rollout in state.rollouts.items() if any(e.number == number for e in rollout.entries)
    )


def with_version(state: ModelState, number: int, **changes: object) -> ModelState:
    """Return the state with some fields of one version changed, and its revision set to the state's.

    The state stays as it is when it has no such version.
    """
    version = state.versions.get(number)
    if version is None:
        return state
    return replace(
        state, versions=state.versions.set(number, replace(version, revision=state.revision, **changes))
    )
