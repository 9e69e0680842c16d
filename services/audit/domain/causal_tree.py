"""Arrange events as a forest: each event under its cause. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


def cause_in_log(event: Mapping[str, Any]) -> str:
    """Return the id of the event that caused this one, or "" when its cause is no event of a service.

    A publisher chooses the ids of its messages. One that equals the id of an event is still not that event.
    """
    by_service = str(event["actor"]["subject"]).startswith("service:")
    return str(event["causation_id"]) if by_service else ""


def forest(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events in their order, each with its `effects`.

    Roots are events whose cause is not among them.
    """
    nodes: dict[str, dict[str, Any]] = {event["event_id"]: {**event, "effects": []} for event in events}
    roots: list[dict[str, Any]] = []
    for event in events:
        node, cause = nodes[event["event_id"]], nodes.get(cause_in_log(event))
        (roots if cause is None or cause is node else cause["effects"]).append(node)
    return roots
