"""Hold what the parts of a running service share."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import Any, TypeVar

import asyncpg

from shared.foundation.readiness import Readiness
from shared.foundation.settings import Settings
from shared.identity.access_view import AccessView
from shared.identity.sign_ins import SignIns
from shared.log.denied_attempts import DeniedAttempts
from shared.log.standing import Standing
from shared.log.transact import Transactor
from shared.messaging.dead_letters import DeadLetters

P = TypeVar("P")
LISTS = 4
"""Lists that are read at the same time: half of the pool stays free for commits and reads of single rows."""


@dataclass(slots=True)
class App:
    """What endpoints, consumers and due work of a running service get.

    `shared.run` sets `pool`, `searches`, `transactor`, `transactors` (by service), `access`, `sign_ins` and
    `dead_letters` before the service serves or consumes anything. `searches` are connections that plan each
    statement with its values. A service that appends nothing has no `denied_attempts`. `known_names` is as in
    its Process. `parts` is the service's own dataclass (caches, stores); its start hook returns it.
    """

    name: str
    settings: Settings
    readiness: Readiness = field(default_factory=Readiness)
    serving: bool = False
    parts: object = None
    denied_attempts: DeniedAttempts | None = None
    known_names: str = ""
    transactors: dict[str, Transactor] = field(default_factory=dict)
    pool: asyncpg.Pool = field(init=False)
    searches: asyncpg.Pool = field(init=False)
    transactor: Transactor = field(init=False)
    access: AccessView = field(init=False)
    sign_ins: SignIns = field(init=False)
    dead_letters: DeadLetters = field(init=False)
    standing: Standing = field(init=False)
    _lists: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(LISTS), init=False)

    def __post_init__(self) -> None:
        self.standing = Standing(self.readiness)

    async def list_rows(self, statement: str, *values: Any, search: bool = False) -> list[asyncpg.Record]:
        """Return the rows of a list. At most LISTS lists are read at the same time; the others wait.

        A `search` filters by values of the caller, and is planned with them.
        """
        async with self._lists:
            rows: list[asyncpg.Record] = await (self.searches if search else self.pool).fetch(
                statement, *values
            )
        return rows

    def parts_as(self, kind: type[P]) -> P:
        """Return the service's own parts.

        Raises TypeError when the service has parts of another kind, or none yet.
        """
        if not isinstance(self.parts, kind):
            raise TypeError(
                f"{self.name} has no {kind.__name__}: return it from the start hook of its Process"
            )
        return self.parts
