"""Write one line for each HTTP request: who, what, and what came of it. It holds nothing that a caller chose.

No path, query, header or body is in it: the route stands for the path, and every other field is made here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import Protocol

log = logging.getLogger("regista.access")
SUBJECT = "regista.subject"
"""The key of a request's scope under which a front names the identity that it recognised."""


class Identified(Protocol):
    """Who made a request: the actor of an event."""

    @property
    def subject(self) -> str:
        """The identity."""

    @property
    def method(self) -> str:
        """How it was recognised, with the id of a key."""


@dataclass(slots=True)
class Served:
    """What is known of a request when it was answered. A front states the subject, and no actor."""

    method: str
    route: str = ""
    actor: Identified | None = None
    trace: str = ""
    code: str = ""
    subject: str = ""


def write(served: Served, status: int, seconds: float) -> None:
    """Write the line. Status 0: the client went before it was answered."""
    if not log.isEnabledFor(logging.INFO):
        return
    actor = served.actor
    log.info(
        "request",
        extra={
            "subject": actor.subject if actor else served.subject,
            "key_id": actor.method.partition(":")[2].partition("@")[0] if actor else "",
            "method": served.method,
            "route": served.route,
            "status": status,
            "code": served.code,
            "milliseconds": round(seconds * 1000, 2),
            "trace": served.trace[3:35],
        },
    )
