"""Write one line for each HTTP request: who, what, and what came of it. It holds nothing that a caller chose.

No path, query, header or body is in it: the route stands for the path, and every other field is made here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

log = logging.getLogger("regista.access")
SUBJECT = "regista.subject"
"""The key of a request's scope under which a front names the identity that it recognised."""


@dataclass(slots=True)
class Served:
    """What is known of a request when it was answered. A front states the subject, and no key."""

    method: str
    route: str = ""
    trace: str = ""
    code: str = ""
    subject: str = ""
    key_id: str = ""


def write(served: Served, status: int, seconds: float) -> None:
    """Write the line. Status 0: the client went before it was answered."""
    if not log.isEnabledFor(logging.INFO):
        return
    log.info(
        "request",
        extra={
            "subject": served.subject,
            "key_id": served.key_id,
            "method": served.method,
            "route": served.route,
            "status": status,
            "code": served.code,
            "milliseconds": round(seconds * 1000, 2),
            "trace": served.trace[3:35],
        },
    )
