"""What cleanup remembers of one model (`retention-<model_id>`): its events and the state they fold into."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import msgspec
from immutables import Map

from services.cleanup.domain.policy import DEFAULT_POLICY, Reason, RetentionPolicy
from shared.deciding.events import Noted


@dataclass(frozen=True, slots=True)
class UsageRecorded:
    """`count` more uses.

    `day_total` and `total` are absolute, so a projection needs no look back. `last_used_at` never runs
    backwards.
    """

    model_id: str
    number: int
    environment: str
    endpoint: str
    window_start: datetime
    window_end: datetime
    count: int
    day: str
    day_total: int
    total: int
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class RetentionChanged:
    model_id: str
    policy: RetentionPolicy


@dataclass(frozen=True, slots=True)
class VersionMarked:
    """The notice: unless something speaks for the version before `delete_after`, its retirement is proposed then."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    rule: str
    reason: str
    delete_after: datetime


@dataclass(frozen=True, slots=True)
class VersionSpared:
    """Why the version stays, every reason of it. `unmarked` when it had been marked before."""

    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    reasons: tuple[Reason, ...]
    unmarked: bool


@dataclass(frozen=True, slots=True)
class RetirementProposed:
    model_id: str
    model: str
    number: int
    semver: str
    sweep_id: str
    rule: str
    reason: str


RetentionEvent = Noted | UsageRecorded | RetentionChanged | VersionMarked | VersionSpared | RetirementProposed


class Version(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One of perhaps 100,000; a Struct because a snapshot of them loads several times faster than one of dataclasses.

    `stage` is registry's, as far as noted. `left_production_at` is set when it last left Production.
    """

    semver: str
    stage: str
    registered_at: datetime
    left_production_at: datetime | None = None
    recalled: bool = False


class Use(msgspec.Struct, frozen=True, array_like=True, gc=False):
    total: int
    last_used_at: datetime


@dataclass(frozen=True, slots=True)
class Rollout:
    """One environment: who takes part now, who is the champion (0: nobody), and who was just before."""

    entries: tuple[int, ...] = ()
    champion: int = 0
    predecessor: int = 0


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """`proposed` once the retirement was proposed and registry has not answered yet."""

    sweep_id: str
    delete_after: datetime
    proposed: bool = False


@dataclass(frozen=True, slots=True)
class State:
    """Everything about one model that a verdict needs.

    `noted` is the revision of the model's own stream up to which everything is known here. `uses_by_day` is
    keyed `<number>/<day>`; `promotions` holds the open ones by id; `children` is keyed `<number>/<child
    model>@<child number>`. Keys of `served` and `rolled_back` are `<environment>/<number>`: the champion
    before this version first got requests (0: none), and what somebody rolled back from.
    """

    model_id: str = ""
    model: str = ""
    noted: int = 0
    highest: int = 0
    policy: RetentionPolicy = DEFAULT_POLICY
    policy_revision: int = 0
    revision: int = 0
    versions: Map[int, Version] = field(default_factory=Map)
    uses: Map[int, Use] = field(default_factory=Map)
    uses_by_day: Map[str, int] = field(default_factory=Map)
    rollouts: Map[str, Rollout] = field(default_factory=Map)
    aliases: Map[str, int] = field(default_factory=Map)
    holds: Map[int, str] = field(default_factory=Map)
    promotions: Map[str, int] = field(default_factory=Map)
    served: Map[str, int] = field(default_factory=Map)
    rolled_back: Map[str, int] = field(default_factory=Map)
    children: Map[str, int] = field(default_factory=Map)
    marks: Map[int, Mark] = field(default_factory=Map)


INITIAL = State()
