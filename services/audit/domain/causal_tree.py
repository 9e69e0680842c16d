"""Events as a forest: each under the one that caused it. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def forest(events: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The same events, each with its `effects`; those whose cause is not among them are the roots.

    Order is kept everywhere.
    """
    nodes: dict[str, dict[str, Any]] = {event["event_id"]: {**event, "effects": []} for event in events}
    roots: list[dict[str, Any]] = []
    for event in events:
        node, cause = nodes[event["event_id"]], nodes.get(event["causation_id"])
        (roots if cause is None or cause is node else cause["effects"]).append(node)
    return roots
