"""`environments-all`: the declared targets of serving, and which of them are production.

A model may use the environments of its own namespace, of those above it, and the global ones.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import assert_never

from immutables import Map

from regista.wire.names import may_exist
from services.registry.domain.model.past import PRODUCTION
from services.registry.domain.model.state import LATEST
from shared.deciding.decider import Decider, RuleBroken, Stale, Unprocessable
from shared.deciding.environments import is_for, unknown_environment

ENVIRONMENTS = "environments-all"
LAST, MOST = 1000, 500
"""The highest `order`, and the number of environments that can be declared."""

_NAME = re.compile(r"[a-z][a-z0-9-]{0,39}", re.ASCII)


@dataclass(frozen=True, slots=True)
class CreateEnvironment:
    """Declare an environment, or one that was retired again. `production` never changes."""

    namespace: str
    name: str
    production: bool
    order: int = 50
    description: str = ""


@dataclass(frozen=True, slots=True)
class EditEnvironment:
    """Change what is given. None leaves a field as it is. `expected`: the revision that the caller saw."""

    namespace: str
    name: str
    order: int | None = None
    description: str | None = None
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class RetireEnvironment:
    """End an environment. It is refused for the models that use it (`used_by`, as read under its lock)."""

    namespace: str
    name: str
    used_by: tuple[str, ...] = ()
    expected: int | None = None


@dataclass(frozen=True, slots=True)
class DeclareFirst:
    """Declare `production` and the environments that were used before they were declared.

    Nothing when any environment is declared.
    """

    used: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class EnvironmentCreated:
    """`namespace` is empty for a global environment. `order` is its place in lists, the lowest first."""

    namespace: str
    name: str
    production: bool
    order: int
    description: str


@dataclass(frozen=True, slots=True)
class EnvironmentEdited:
    namespace: str
    name: str
    order: int
    description: str


@dataclass(frozen=True, slots=True)
class EnvironmentRetired:
    """No version is promoted or switched to there any more."""

    namespace: str
    name: str


EnvironmentCommand = CreateEnvironment | EditEnvironment | RetireEnvironment | DeclareFirst
EnvironmentEvent = EnvironmentCreated | EnvironmentEdited | EnvironmentRetired


@dataclass(frozen=True, slots=True)
class Environment:
    """`revision` is that of the last event about it (its ETag)."""

    namespace: str
    name: str
    production: bool
    order: int
    description: str
    revision: int
    retired: bool = False


@dataclass(frozen=True, slots=True)
class Environments:
    """All environments that were ever declared, by full name: `[namespace.]name`."""

    revision: int = 0
    declared: Map[str, Environment] = field(default=Map())

    def of(self, namespace: str) -> Mapping[str, Environment]:
        """Return the environments that models of a namespace may use, by name; retired ones, too."""
        return {e.name: e for e in self.declared.values() if is_for(e.namespace, namespace)}


def full_name(namespace: str, name: str) -> str:
    return f"{namespace}.{name}" if namespace else name


def require_environment(environments: Environments, namespace: str, name: str) -> Environment:
    """Return the environment in which a model of the namespace may serve.

    Raise NotFound with the nearest name for one that is not declared, RuleBroken for a retired one.
    """
    usable = environments.of(namespace)
    if (found := usable.get(name)) is None:
        raise unknown_environment(name, [e.name for e in usable.values() if not e.retired])
    if found.retired:
        raise RuleBroken(
            "environment_retired",
            f"The environment {full_name(found.namespace, name)} is retired: choose another one, or ask an "
            "admin to create it again.",
        )
    return found


def decide(command: EnvironmentCommand, state: Environments) -> Sequence[EnvironmentEvent]:
    match command:
        case CreateEnvironment():
            return _create(command, state)
        case EditEnvironment():
            found = _require(command, state)
            order = found.order if command.order is None else command.order
            description = found.description if command.description is None else command.description
            if (order, description) == (found.order, found.description):
                return []
            return [EnvironmentEdited(found.namespace, found.name, order, description)]
        case RetireEnvironment():
            return _retire(command, state)
        case DeclareFirst():
            names = [] if state.declared else [PRODUCTION, *(n for n in command.used if n != PRODUCTION)]
            return [EnvironmentCreated("", name, True, 100, "") for name in names if _NAME.fullmatch(name)]
        case _:
            assert_never(command)


def _create(command: CreateEnvironment, state: Environments) -> Sequence[EnvironmentEvent]:
    """Declare it. One name never has two meanings for a model, so no namespace above or below has it."""
    namespace, name = command.namespace, command.name
    if not _NAME.fullmatch(name) or (namespace and not may_exist(namespace)):
        raise Unprocessable(
            "invalid_environment",
            f"{full_name(namespace, name)!r:.200} cannot be an environment: use a lower-case letter, then "
            "lower-case letters, digits and '-', at most 40, after the namespace, if any, and a dot.",
        )
    if name == LATEST:
        raise Unprocessable(
            "reserved_environment",
            f"{LATEST} cannot be an environment: model@{LATEST} is the newest version that may be used. "
            "Choose another name.",
        )
    created = EnvironmentCreated(namespace, name, command.production, command.order, command.description)
    here = state.declared.get(full_name(namespace, name))
    if here is not None and here.production != command.production:
        kind = "a production environment" if here.production else "no production environment"
        raise RuleBroken(
            "environment_kind_fixed",
            f"{full_name(namespace, name)} is {kind}, which never changes: versions are promoted there "
            "under the gates of that kind. Create one with another name.",
        )
    if here is not None and not here.retired:
        if (here.order, here.description) == (created.order, created.description):
            return []
        raise RuleBroken(
            "environment_exists",
            f"The environment {full_name(namespace, name)} exists: edit it (`regista environment edit`).",
        )
    for other in state.declared.values():
        above_or_below = is_for(other.namespace, namespace) or is_for(namespace, other.namespace)
        if other.name == name and other.namespace != namespace and above_or_below:
            raise _name_taken(other)
    if len(state.declared) >= MOST:
        raise RuleBroken(
            "too_many_environments", f"At most {MOST} environments are declared: use one of these."
        )
    return [created]


def _name_taken(other: Environment) -> RuleBroken:
    use = (
        f"{full_name(other.namespace, other.name)} is retired; create it again" if other.retired else "use it"
    )
    return RuleBroken(
        "environment_name_taken",
        f"{other.name} is an environment of {other.namespace or 'all namespaces'} already, and one name has "
        f"one meaning for a model: {use}, or choose another name.",
    )


def _retire(command: RetireEnvironment, state: Environments) -> Sequence[EnvironmentEvent]:
    found = _require(command, state)
    if found.retired:
        return []
    if command.used_by:
        raise RuleBroken(
            "environment_in_use",
            f"{full_name(found.namespace, found.name)} is used by {', '.join(command.used_by)}: stop these "
            "rollouts (`regista rollout stop`) and end open promotions first.",
            models=command.used_by,
        )
    return [EnvironmentRetired(found.namespace, found.name)]


def _require(command: EditEnvironment | RetireEnvironment, state: Environments) -> Environment:
    found = state.declared.get(full_name(command.namespace, command.name))
    if found is None:
        names = [full_name(e.namespace, e.name) for e in state.of(command.namespace).values()]
        raise unknown_environment(full_name(command.namespace, command.name), names)
    if command.expected not in {None, found.revision}:
        raise Stale(
            "stale_environment",
            "The environment has changed since you read it: read it again, then repeat the request.",
            revision=found.revision,
        )
    return found


def evolve(state: Environments, event: EnvironmentEvent) -> Environments:
    revision, key = state.revision + 1, full_name(event.namespace, event.name)
    before = state.declared.get(key, Environment(event.namespace, event.name, True, 0, "", 0))
    match event:
        case EnvironmentCreated(production=production, order=order, description=description):
            now = Environment(event.namespace, event.name, production, order, description, revision)
        case EnvironmentEdited(order=order, description=description):
            now = replace(before, order=order, description=description, revision=revision)
        case EnvironmentRetired():
            now = replace(before, retired=True, revision=revision)
        case _:
            assert_never(event)
    return Environments(revision, state.declared.set(key, now))


ENVIRONMENT: Decider[EnvironmentCommand, EnvironmentEvent, Environments] = Decider(
    "environments", Environments(), evolve, decide=decide
)

DECIDERS: Mapping[type, Decider[EnvironmentCommand, EnvironmentEvent, Environments]] = dict.fromkeys(
    (CreateEnvironment, EditEnvironment, RetireEnvironment, DeclareFirst), ENVIRONMENT
)
