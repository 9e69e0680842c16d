"""Names that every part agrees on: who appends to which partitions of the log, and the topics.

Imports nothing, so that it costs nothing.
"""

from __future__ import annotations

PARTITIONS_OF = {
    "registry": ("registry", "access"),
    "approval": ("approval",),
    "artifact": ("artifact",),
    "cleanup": ("cleanup",),
    "audit": (),
}
"""Who owns which partitions of the log; each also owns a schema of each of these names, and one of its own."""


def topic_of(service: str) -> str:
    """Where a service publishes; only that service may write it."""
    return f"regista.{service}.events.v1"


def dlq_of(topic: str) -> str:
    """The dead-letter topic beside `topic`: where consumers put what they cannot read of it."""
    return f"{topic}.dlq"


def source_of(dlq: str) -> str:
    """The topic beside which a dead-letter topic stands; any other topic as it is."""
    return dlq.removesuffix(".dlq")
