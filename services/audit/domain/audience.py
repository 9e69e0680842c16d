"""Decide who may receive a public event. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any

from regista.wire.event_types import name_of
from services.audit.domain.reading import SHARED_STREAMS, named_models, owners
from shared.deciding.access import (
    ANY_ROLE,
    AccessState,
    covers,
    namespace_of,
    permits,
    readable_namespaces,
)

DECLARED = ("Environment", "Policy")
"""How the types begin of events about what is declared for models and not about one of them."""


@dataclass(frozen=True, slots=True)
class About:
    """What a public event is about.

    `models` are the ids of all models that it concerns. A caller who may read all of `owners` receives it, or
    any of them where `any_owner` is true. `declared` is the namespace of what is declared for the models
    below it ("" for all models), None for every other event. `name` is that of a model that may not exist.
    """

    models: frozenset[str]
    owners: frozenset[str]
    any_owner: bool = False
    declared: str | None = None
    name: str = ""

    def audience(self, names: Mapping[str, str]) -> Audience:
        """Return who may receive it, by the present `names` of models."""
        if self.declared is not None:
            return Audience(frozenset({self.declared}), declared=True)
        found = {namespace_of(names.get(model, "")) for model in self.owners}
        return Audience(frozenset(found or {namespace_of(self.name)}), any_of=self.any_owner)


@dataclass(frozen=True, slots=True)
class Audience:
    """The namespaces in which a caller needs a role: all of them, or one of them with `any_of`.

    What is `declared` for a namespace is shown above and below it, too. The namespace "" needs a role
    everywhere; what is declared for all models is shown to everyone with a role.
    """

    namespaces: frozenset[str]
    any_of: bool = False
    declared: bool = False

    def includes(self, state: AccessState) -> bool:
        """Return whether the identity may receive the event."""
        if self.declared:
            roles = readable_namespaces(state)
            return roles is None or any(
                not one or covers(one, role) or covers(role, one) for one in self.namespaces for role in roles
            )
        allowed = (permits(state, ANY_ROLE, one) for one in self.namespaces)
        return any(allowed) if self.any_of else all(allowed)

    def is_within(self, namespace: str) -> bool:
        """Return whether the event concerns the namespace or one below it."""
        return any(covers(namespace, one) for one in self.namespaces)


def about(type_: str, stream: str, data: Mapping[str, Any], sharing: Collection[str]) -> About:
    """Return what an event is about. `sharing` are the models that the events of its stream named.

    An event that links two models is about both: it names the child to readers of the parent.
    """
    named, own = named_models(stream, data), owners(stream, data)
    if name_of(type_).startswith(DECLARED):
        return About(frozenset(), frozenset(), declared=str(data.get("namespace") or ""))
    if not named and stream.startswith(SHARED_STREAMS):
        return About(frozenset(sharing), frozenset(sharing), any_owner=True)
    child = data.get("child_model_id")
    linked = frozenset({child}) if isinstance(child, str) and child else frozenset[str]()
    return About(named | linked, own | linked, name=str(data.get("model") or ""))
