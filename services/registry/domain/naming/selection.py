"""`selection-policies`: approval's policies, as noted. A model's description selects which of them applies.

A description that selects a weaker policy is a governed change: a person who may approve makes it, one
who neither made a version of the model nor requested its promotion.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import product
from typing import Any

from immutables import Map

from regista.wire.policies import STAGES, Subject, approvers, requires_less, select
from services.registry.domain import noted
from services.registry.domain.model.metadata import Kind, Tier
from shared.deciding.access import AccessState, permits
from shared.deciding.decider import Decider
from shared.deciding.events import Noted

STREAM = "selection-policies"
DEFAULT_KIND: Kind = "model"
DEFAULT_TIER: Tier = "medium"


@dataclass(frozen=True, slots=True)
class NotePolicy:
    """approval published a revision of a policy."""

    note: Noted


@dataclass(frozen=True, slots=True)
class SelectionState:
    """The newest revision of each policy, and that of its stream."""

    policies: Map[str, noted.Policy] = field(default=Map())
    revisions: Map[str, int] = field(default=Map())


def decide(command: NotePolicy, state: SelectionState) -> Sequence[Noted]:
    """Return the note, or nothing for a revision that is not newer than the one noted."""
    source = command.note.source
    return [] if source.revision <= state.revisions.get(source.stream, 0) else [command.note]


def evolve(state: SelectionState, note: Noted) -> SelectionState:
    published: noted.PolicyPublished | None = noted.read(note)
    if published is None:
        return state
    return SelectionState(
        state.policies.set(published.name, published.policy),
        state.revisions.set(note.source.stream, note.source.revision),
    )


def may_choose(identity: AccessState, namespace: str) -> bool:
    """Return whether the actor may choose what selects weaker policies: a person who may approve there."""
    return identity.kind == "person" and permits(identity, "approver", namespace)


def role_to_create(*, may_choose: bool) -> str:
    """Return the role to create a model with: who chooses weaker gates need not be a publisher."""
    return "approver" if may_choose else "publisher"


def plainest(namespace: str) -> Subject:
    """Return the description that every publisher may give a new model in this namespace."""
    return Subject(namespace, DEFAULT_KIND, DEFAULT_TIER, {})


def weakened(before: Subject, after: Subject, state: SelectionState) -> list[str]:
    """Return how `after` selects weaker policies than `before`, as sentences; nothing when it does not."""
    found = []
    policies = sorted(state.policies.items())
    named = sorted({environment for _, p in policies for environment in p.applies_to.environments})
    for stage, environment in product(STAGES, ("", *named)):
        was, now = (
            select(policies, replace(subject, environment=environment), stage) for subject in (before, after)
        )
        if was is None or now is None or was[0] == now[0]:
            continue
        less = requires_less(was[1], now[1], stage, (before.tier, after.tier))
        if less:
            where = f" of {environment}" if environment else ""
            found.append(
                f"{stage}{where}: {_people_of(*was, stage)} → {_people_of(*now, stage)} ({'; '.join(less)})"
            )
    return found


def _people_of(name: str, policy: noted.Policy, stage: str) -> str:
    people = approvers(policy.stages[stage])
    return f"{name} ({people} approver{'s' if people != 1 else ''})" if people else name


SELECTION: Decider[NotePolicy, Noted, SelectionState] = Decider(
    "selection", SelectionState(), evolve, decide=decide
)
DECIDERS: Mapping[type, Decider[Any, Any, Any]] = {NotePolicy: SELECTION}
