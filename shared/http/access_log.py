"""Write one line for each HTTP request: who, what, and what came of it. It holds nothing that a caller chose.

No path, query, header or body is in it: the route stands for the path, and every other field is made here.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass

from shared.deciding.events import Actor, key_id_of

log = logging.getLogger("regista.access")


@dataclass(slots=True)
class Served:
    """What is known of a request when it was answered."""

    method: str
    route: str = ""
    actor: Actor | None = None
    trace: str = ""
    code: str = ""


def write(served: Served, status: int, seconds: float) -> None:
    """Write the line. Status 0: the client went before it was answered."""
    if not log.isEnabledFor(logging.INFO):
        return
    actor = served.actor
    log.info(
        "request",
        extra={
            "subject": actor.subject if actor else "",
            "key_id": key_id_of(actor.method) if actor else "",
            "method": served.method,
            "route": served.route,
            "status": status,
            "code": served.code,
            "milliseconds": round(seconds * 1000, 2),
            "trace": served.trace[3:35],
        },
    )
