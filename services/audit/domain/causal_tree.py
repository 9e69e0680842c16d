"""Arrange events as a forest: each event under its cause. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def forest(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the events in their order, each with its `effects`.

    Roots are events whose cause is not among them.
    """
    nodes: dict[str, dict[str, Any]] = {event["event_id"]: {**event, "effects": []} for event in events}
    roots: list[dict[str, Any]] = []
    for event in events:
        node, cause = nodes[event["event_id"]], nodes.get(event["causation_id"])
        (roots if cause is None or cause is node else cause["effects"]).append(node)
    return roots
