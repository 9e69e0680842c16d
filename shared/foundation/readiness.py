"""Why a process is not ready, in the words of its parts. No reason left: ready."""

from __future__ import annotations

import logging

from shared.foundation.telemetry import without_secrets

log = logging.getLogger(__name__)


def error_summary(error: BaseException) -> str:
    """What may be told of an error to whoever asks: its class and first line.

    What PostgreSQL adds below (DETAIL) holds values of rows.
    """
    return without_secrets(": ".join([type(error).__name__, *str(error).splitlines()[:1]]))


class Readiness:
    """Each part says by name what it waits for and clears it when it has it; changes are logged once."""

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}

    def wait(self, part: str, reason: str) -> None:
        """The part cannot work, and why."""
        if self._reasons.get(part) != reason:
            log.warning("not ready: %s: %s", part, reason)
        self._reasons[part] = reason

    def clear(self, part: str) -> None:
        """The part works again."""
        if self._reasons.pop(part, None) is not None:
            log.info("ready again: %s", part)

    @property
    def reasons(self) -> dict[str, str]:
        """Reason by part; empty when ready."""
        return dict(self._reasons)
