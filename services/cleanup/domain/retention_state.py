"""The state of a model's retention, folded from the events of `retention-<model_id>`."""

from __future__ import annotations

from datetime import datetime

import msgspec
from immutables import Map

from services.cleanup.domain.policy import OFF, RetentionPolicy


class Version(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One version of perhaps 100,000. A Struct loads several times faster from a snapshot than a dataclass.

    `stage` is the registry's, as far as noted; a retired version keeps the stage that it ended in.
    `left_production_at` is set when the version last left Production.
    """

    semver: str
    stage: str
    registered_at: datetime
    left_production_at: datetime | None = None
    recalled: bool = False
    retired: bool = False


class Use(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The reported uses of a version."""

    total: int
    last_used_at: datetime


class Rollout(msgspec.Struct, frozen=True):
    """The versions that serve in one environment, the champion, and the champion before it (0: none)."""

    entries: tuple[int, ...] = ()
    champion: int = 0
    predecessor: int = 0


class Mark(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """The mark of a version. `proposed`: the retirement was proposed and the registry has not answered."""

    sweep_id: str
    delete_after: datetime
    proposed: bool = False


class State(msgspec.Struct, frozen=True):
    """Everything about one model that a verdict needs. A Struct, because each fold of an event copies it.

    `policy` is the one in force: the model's own (of `policy_revision`, 0 without one), else the one that it
    inherits, as of the last cleanup run. `noted` is the revision of the model's own stream up to which it was
    noted. `uses_by_day` is keyed `<number>/<day>`. `promotions` holds the open ones by id. `children` is
    keyed `<number>/<child model>@<child number>`. `served` and `rolled_back` are keyed
    `<environment>/<number>`: the champion before this version first got requests (0: none), and the versions
    that were rolled back from.
    """

    model_id: str = ""
    model: str = ""
    noted: int = 0
    highest: int = 0
    policy: RetentionPolicy = OFF
    policy_revision: int = 0
    inherited: RetentionPolicy = OFF
    revision: int = 0
    versions: Map[int, Version] = msgspec.field(default_factory=Map)
    uses: Map[int, Use] = msgspec.field(default_factory=Map)
    uses_by_day: Map[str, int] = msgspec.field(default_factory=Map)
    rollouts: Map[str, Rollout] = msgspec.field(default_factory=Map)
    aliases: Map[str, int] = msgspec.field(default_factory=Map)
    holds: Map[int, str] = msgspec.field(default_factory=Map)
    promotions: Map[str, int] = msgspec.field(default_factory=Map)
    served: Map[str, int] = msgspec.field(default_factory=Map)
    rolled_back: Map[str, int] = msgspec.field(default_factory=Map)
    children: Map[str, int] = msgspec.field(default_factory=Map)
    marks: Map[int, Mark] = msgspec.field(default_factory=Map)


INITIAL = State()
