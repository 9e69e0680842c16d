"""Retention defaults: the policies of namespaces and of everything, in the stream `defaults-all`.

A model without a policy of its own has the default of the nearest namespace that contains it, else that of
everything, else none: then nothing of it is retired.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from immutables import Map

from services.cleanup.domain.policy import OFF, RetentionPolicy
from shared.deciding.access import EVERYWHERE, namespace_of
from shared.deciding.decider import Decider, RuleBroken, Stale, Unprocessable

STREAM = "defaults-all"
MOST = 10_000
"""Namespaces that may have a default."""


@dataclass(frozen=True, slots=True)
class ChangeDefault:
    """Set the default of a namespace ("*": of everything); None removes it.

    `expected` is the revision of the default that the caller read (0: none), None for any.
    """

    namespace: str
    policy: RetentionPolicy | None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DefaultRetentionChanged:
    namespace: str
    policy: RetentionPolicy


@dataclass(frozen=True, slots=True)
class DefaultRetentionRemoved:
    namespace: str


DefaultEvent = DefaultRetentionChanged | DefaultRetentionRemoved


@dataclass(frozen=True, slots=True)
class Default:
    policy: RetentionPolicy
    revision: int


@dataclass(frozen=True, slots=True)
class Defaults:
    revision: int = 0
    policies: Map[str, Default] = field(default=Map())


@dataclass(frozen=True, slots=True)
class Inherited:
    """The policy that a model inherits. `source` is a namespace, "*", or "" where there is none."""

    policy: RetentionPolicy
    source: str


def inherited(policies: Mapping[str, RetentionPolicy], model: str) -> Inherited:
    """Return the policy that a model of this name inherits."""
    namespace = namespace_of(model)
    while namespace:
        if namespace in policies:
            return Inherited(policies[namespace], namespace)
        namespace = namespace_of(namespace)
    if EVERYWHERE in policies:
        return Inherited(policies[EVERYWHERE], EVERYWHERE)
    return Inherited(OFF, "")


def inherited_now(state: Defaults, model: str) -> Inherited:
    """Return the policy that a model of this name inherits in this state."""
    return inherited({name: default.policy for name, default in state.policies.items()}, model)


def decide(command: ChangeDefault, state: Defaults) -> Sequence[DefaultEvent]:
    """Return the event of a changed or removed default."""
    now = state.policies.get(command.namespace)
    if command.expected is not None and command.expected != (now.revision if now else 0):
        raise Stale(
            "stale_policy",
            "The retention default changed since you read it: read it again and repeat.",
            current=now.revision if now else 0,
        )
    if command.policy is None:
        return [DefaultRetentionRemoved(command.namespace)] if now else []
    if not command.policy.is_valid:
        raise Unprocessable(
            "bad_retention_policy", "Give durations of at most 1e10 seconds, and a keep_newest of 0 or more."
        )
    if now is None and len(state.policies) >= MOST:
        raise RuleBroken(
            "too_many_defaults", f"At most {MOST} namespaces have a retention default: remove one first."
        )
    if now and now.policy == command.policy:
        return []
    return [DefaultRetentionChanged(command.namespace, command.policy)]


def evolve(state: Defaults, event: DefaultEvent) -> Defaults:
    """Fold one event of `defaults-all`."""
    state = replace(state, revision=state.revision + 1)
    match event:
        case DefaultRetentionChanged():
            default = Default(event.policy, state.revision)
            return replace(state, policies=state.policies.set(event.namespace, default))
        case DefaultRetentionRemoved():
            if event.namespace not in state.policies:
                return state
            return replace(state, policies=state.policies.delete(event.namespace))
        case _:
            assert_never(event)


DEFAULTS: Decider[ChangeDefault, DefaultEvent, Defaults] = Decider(
    "defaults", Defaults(), evolve, decide=decide
)
