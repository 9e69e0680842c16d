"""Collect the reasons why a process is not ready, one for each part. Without a reason it is ready."""

from __future__ import annotations

import logging

from shared.foundation.telemetry import without_secrets

log = logging.getLogger(__name__)


def error_summary(error: BaseException) -> str:
    """Return the class and first line of an error, for anonymous readers.

    The lines below may hold values of rows (PostgreSQL's DETAIL).
    """
    return without_secrets(": ".join([type(error).__name__, *str(error).splitlines()[:1]]))


class Readiness:
    """Each part sets its reason and clears it when it can work. Each change is logged once."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def wait(self, part: str, reason: str) -> None:
        """Record why the part cannot work."""
        if self._reasons.get(part) != reason:
            log.warning("not ready: %s: %s", part, reason)
        self._reasons[part] = reason

    def clear(self, part: str) -> None:
        """Record that the part can work."""
        if self._reasons.pop(part, None) is not None:
            log.info("ready again: %s", part)

    @property
    def reasons(self) -> dict[str, str]:
        """The reasons by part; empty when the process is ready."""
        return dict(self._reasons)
