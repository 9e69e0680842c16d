"""Name the partitions of the log that each service appends to, and the topics. Imports nothing."""

from __future__ import annotations

PARTITIONS_OF = {
    "registry": ("registry", "access"),
    "approval": ("approval",),
    "artifact": ("artifact",),
    "cleanup": ("cleanup",),
    "audit": (),
    "mirror": ("mirror",),
}
"""Partitions of the log by service. A service owns a schema named like each of its partitions, and one of its
name."""


CHECKPOINTS = "regista.audit.checkpoints.v1"
"""The topic of signed log checkpoints. Only audit may write it."""


def topic_of(service: str) -> str:
    """Return the topic that the service publishes to. Only that service may write it."""
    return f"regista.{service}.events.v1"


def bound_topic(topic: str, namespace: str) -> str:
    """Return the topic beside `topic` for messages about this namespace only; for "" `topic` itself."""
    return f"{topic}.{namespace}" if namespace else topic


def dlq_of(topic: str) -> str:
    """Return the dead-letter topic of `topic`."""
    return f"{topic}.dlq"


def source_of(dlq: str) -> str:
    """Return the topic of a dead-letter topic. Any other topic is returned unchanged."""
    return dlq.removesuffix(".dlq")
