"""What a cluster has, as data."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

OURS = "regista."
"""How the names of Regista's topics begin."""


@dataclass(frozen=True, slots=True)
class FoundTopic:
    """A topic of the cluster. `settings` is None where they may not be read; values include defaults."""

    partitions: int
    replication: int
    settings: Mapping[str, str] | None
    used: bool = True
    """Whether a message was ever written; known where it has other partitions than needed."""


@dataclass(frozen=True, slots=True, order=True)
class FoundAcl:
    """A permission or prohibition of the cluster. `user` is "*" for everyone."""

    user: str
    kind: str
    name: str
    operation: str
    pattern: str
    host: str = "*"
    allow: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """What a cluster has. None: not read. `unread` names what may not be read, with the reason."""

    brokers: int
    topics: Mapping[str, FoundTopic] = field(default_factory=dict)
    users: Mapping[str, frozenset[str]] | None = None
    acls: frozenset[FoundAcl] | None = None
    quotas: Mapping[str, Mapping[str, float]] | None = None
    unread: Mapping[str, str] = field(default_factory=dict)
    no_authorizer: bool = False


@dataclass(frozen=True, slots=True)
class Parts:
    """Which parts are compared and applied, beside the topics."""

    users: bool = True
    acls: bool = True
    quotas: bool = True
