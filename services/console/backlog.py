"""What a service has not done yet, from its metrics: events to publish, messages to read, events to seal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from prometheus_client.parser import text_string_to_metric_families

RELAY, CONSUMER = "regista_relay_lag", "regista_consumer_lag"
SEAL = "regista_audit_seal_lag_seconds"


@dataclass(frozen=True, slots=True)
class Backlog:
    """Figures of one replica; None for what it does not measure. `unread` is by topic, the largest first."""

    unpublished: int | None
    unread: Sequence[tuple[str, int]]
    seal_seconds: float | None

    @property
    def messages(self) -> int:
        return sum(count for _, count in self.unread)


def backlog(metrics: str) -> Backlog:
    """Return the backlog that metrics in the text format of Prometheus show. Raises ValueError."""
    unpublished: float | None = None
    seal: float | None = None
    unread: dict[str, float] = {}
    for family in text_string_to_metric_families(metrics):
        for sample in family.samples if family.name in {RELAY, CONSUMER, SEAL} else ():
            if sample.name == RELAY:
                unpublished = (unpublished or 0) + sample.value
            elif sample.name == CONSUMER:
                topic = sample.labels.get("topic", "")
                unread[topic] = unread.get(topic, 0) + sample.value
            elif sample.name == SEAL:
                seal = sample.value
    listed = sorted(_whole(unread).items(), key=lambda one: (-one[1], one[0]))
    return Backlog(None if unpublished is None else int(unpublished), listed, seal)


def _whole(counted: Mapping[str, float]) -> dict[str, int]:
    return {topic: int(count) for topic, count in counted.items()}
