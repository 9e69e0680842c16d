"""Collect the reasons why a process is not ready, one for each part. Without a reason it is ready."""

from __future__ import annotations

import logging
import time

log = logging.getLogger(__name__)

REPEAT_AFTER = 60.0
"""Seconds after which a part's changed reason is logged again."""


class Readiness:
    """Each part sets its reason and clears it when it can work.

    The log has one line when a part stops working, at most one a minute while its reason changes, and one
    when it works again. `ended` is the first part that ended although the process runs.
    """

    def __init__(self) -> None:
        self._reasons: dict[str, str] = {}
        self._logged_at: dict[str, float] = {}
        self._logged: set[str] = set()
        self.ended = ""

    def wait(self, part: str, reason: str, *, logged: bool = True) -> None:
        """Record why the part cannot work. Without `logged` another line reports the cause, an outage."""
        if logged and self._reasons.get(part) != reason and self._is_due(part):
            log.warning("not ready: %s: %s", part, reason, extra={"error": reason})
            self._logged_at[part] = time.monotonic()
            self._logged.add(part)
        self._reasons[part] = reason

    def _is_due(self, part: str) -> bool:
        return time.monotonic() - self._logged_at.get(part, -REPEAT_AFTER) >= REPEAT_AFTER

    def clear(self, part: str) -> None:
        """Record that the part can work."""
        self._reasons.pop(part, None)
        if part in self._logged:
            self._logged.remove(part)
            log.info("ready again: %s", part)

    def show(self, part: str, reason: str) -> None:
        """Record the reason, or that there is none ("")."""
        if reason:
            self.wait(part, reason)
        else:
            self.clear(part)

    @property
    def reasons(self) -> dict[str, str]:
        """The reasons by part; empty when the process is ready."""
        return dict(self._reasons)
