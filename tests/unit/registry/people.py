"""Identities by given, when, then: states by subject, and commands of any kind."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, get_args

from services.registry.access.domain import deciders, identities, roles
from services.registry.access.domain.commands import CreateIdentity, WithMembers
from shared.deciding.access import AccessState, evolve_access

States = dict[str, AccessState]


def decide_all(command: Any, states: Mapping[str, AccessState]) -> dict[str, list[Any]]:
    """Return the events by subject."""
    everyone = _Everyone(states)
    if isinstance(command, get_args(WithMembers)):
        return {subject: list(events) for subject, events in roles.decide(command, everyone).items()}
    if isinstance(command, CreateIdentity):
        return {command.subject: list(identities.create(command, everyone[command.subject]))}
    return {command.subject: list(deciders.decide(command, everyone[command.subject]))}


def decide(command: Any, state: AccessState) -> list[Any]:
    """Return the events of the command's own subject, whose state this is."""
    return decide_all(command, {command.subject: state}).get(command.subject, [])


def house(*commands: Any) -> States:
    """Return the states after these commands."""
    states: States = {}
    for command in commands:
        for subject, events in decide_all(command, states).items():
            for event in events:
                states[subject] = evolve_access(states.get(subject, AccessState()), event)
    return states


class _Everyone(dict[str, AccessState]):
    def __missing__(self, subject: str) -> AccessState:
        return AccessState()
