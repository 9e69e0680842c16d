"""Log the outage of a server briefly: one line when it begins, one a minute meanwhile, one when it ends."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable

from shared.foundation.telemetry import error_summary

log = logging.getLogger(__name__)

REPEAT_AFTER = 60.0
"""Seconds between two lines about the same outage."""
OVER_AFTER = 3.0
"""Seconds without an error after which an answer ends the outage.

A server may answer some parts of a process and refuse others.
"""


class Outage:
    """The outages of one server, reported by all parts of the process."""

    def __init__(self, server: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._server = server
        self._clock = clock
        self._began: float | None = None
        self._logged = self._last = 0.0

    def report(self, error: BaseException) -> None:
        """Record an error that means that the server is unavailable."""
        now = self._last = self._clock()
        first = self._began is None
        if first:
            self._began = now
        if first or now - self._logged >= REPEAT_AFTER:
            self._logged = now
            why = error_summary(error)
            log.warning("%s is unavailable; waiting for it (%s)", self._server, why, extra={"error": why})

    def answered(self) -> None:
        """Record that the server answered."""
        if self._began is None:
            return
        now = self._clock()
        if now - self._last >= OVER_AFTER:
            log.warning("%s is available again after %.0f s", self._server, now - self._began)
            self._began = None


POSTGRES = Outage("PostgreSQL")
KAFKA = Outage("Kafka")
