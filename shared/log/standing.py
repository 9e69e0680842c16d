"""Whether this process may write to the log: it may not while the log is behind what was published of it."""

from __future__ import annotations

from dataclasses import dataclass, field

from prometheus_client import Gauge

from shared.foundation.readiness import Readiness

STOPPED = Gauge(
    "regista_log_stopped", "1 while this process writes nothing: the log is behind what was published of it"
)
PART = "log"
"""The part of readiness that reports a stopped log."""


@dataclass(slots=True)
class Standing:
    """The reason why nothing may be written, "" while everything may. All parts of a process share one."""

    readiness: Readiness = field(default_factory=Readiness)
    reason: str = ""

    def stop(self, reason: str) -> None:
        """Refuse every command from now on."""
        self.reason = reason
        self.readiness.wait(PART, reason)
        STOPPED.set(1)

    def clear(self) -> None:
        """Accept commands again."""
        self.reason = ""
        self.readiness.clear(PART)
        STOPPED.set(0)
