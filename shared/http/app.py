"""Hold what the parts of a running service share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeVar

import asyncpg

from shared.foundation.readiness import Readiness
from shared.foundation.settings import Settings
from shared.identity.access_view import AccessView
from shared.log.transact import Transactor
from shared.messaging.dead_letters import DeadLetters

P = TypeVar("P")


@dataclass(slots=True)
class App:
    """What endpoints, consumers and due work of a running service get.

    `shared.run` sets `pool`, `transactor`, `transactors` (by service), `access` and `letters` before the
    service serves or consumes anything. `parts` is the service's own dataclass (caches, stores); its start
    hook returns it.
    """

    name: str
    settings: Settings
    readiness: Readiness = field(default_factory=Readiness)
    serving: bool = False
    parts: object = None
    transactors: dict[str, Transactor] = field(default_factory=dict)
    pool: asyncpg.Pool = field(init=False)
    transactor: Transactor = field(init=False)
    access: AccessView = field(init=False)
    dead_letters: DeadLetters = field(init=False)

    def parts_as(self, kind: type[P]) -> P:
        """Return the service's own parts.

        Raises TypeError when the service has parts of another kind, or none yet.
        """
        if not isinstance(self.parts, kind):
            raise TypeError(
                f"{self.name} has no {kind.__name__}: return it from the start hook of its Process"
            )
        return self.parts
