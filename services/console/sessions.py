"""Keep who is signed in: opaque ids in cookies, everything else in this process.

A cookie holds a random id, the process its digest. So what a browser stores is worth nothing after sign-out,
a credential never leaves the process, and a dump of the sessions contains no cookie.
"""

from __future__ import annotations

import hashlib
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from regista.shapes.registry import Caller
from services.console.oidc import Begun, Tokens

Form = Mapping[str, list[str]]
"""The fields of a form, each with its values."""
MOST_SESSIONS, MOST_UNSIGNED = 10_000, 1_000
MOST_KEPT = 20
UNSIGNED_FOR = timedelta(minutes=15)
"""How long what was typed waits for a sign-in."""


@dataclass(slots=True)
class Session:
    """One person in one browser.

    `key` is the API key of a person who signed in with one, else `tokens` are those of the issuer. `kept` has
    the fields of forms that were not carried out, by the path of their page, `notices` what the next page
    reports, `seen` the revision of each review at the last visit, `waiting` how many reviews wait for the
    person, and when they were counted.
    """

    key: str = field(repr=False)
    caller: Caller
    tokens: Tokens | None = None
    csrf: str = field(default_factory=lambda: secrets.token_urlsafe(32), repr=False)
    kept: dict[str, Form] = field(default_factory=dict)
    notices: list[str] = field(default_factory=list)
    names: dict[str, tuple[float, str | None]] = field(default_factory=dict)
    seen: dict[str, int] = field(default_factory=dict)
    waiting: tuple[float, int] = (float("-inf"), 0)

    @property
    def credential(self) -> str:
        """What is sent to the services."""
        return self.tokens.access if self.tokens else self.key

    @property
    def subject(self) -> str:
        return self.caller["subject"]

    def keep(self, path: str, form: Form) -> None:
        """Keep what was typed into a form of the page at `path`."""
        self.kept.pop(path, None)
        while len(self.kept) >= MOST_KEPT:
            del self.kept[next(iter(self.kept))]
        self.kept[path] = form


@dataclass(frozen=True, slots=True)
class Unsigned:
    """A browser without a session: where it goes after the sign-in, and what was typed there."""

    path: str
    form: Form = field(default_factory=dict)
    begun: Begun | None = None


K = TypeVar("K")


@dataclass(slots=True)
class _Entry(Generic[K]):
    content: K
    began: float
    used: float


class Store(Generic[K]):
    """Contents by opaque ids, for a limited time; the one that is unused for longest makes room."""

    def __init__(
        self,
        most: int,
        longest: timedelta,
        idle: timedelta,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._most, self._longest, self._idle = most, longest.total_seconds(), idle.total_seconds()
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry[K]] = OrderedDict()

    def put(self, content: K) -> str:
        """Store the content, and return its id."""
        now, id_ = self._clock(), secrets.token_urlsafe(32)
        while len(self._entries) >= self._most:
            self._entries.popitem(last=False)
        self._entries[_digest(id_)] = _Entry(content, now, now)
        return id_

    def find(self, id_: str) -> K | None:
        """Return the content, or None when the id is unknown or its time is over. This is use of the id."""
        content = self.peek(id_)
        if content is None:
            self.drop(id_)
            return None
        self._entries[_digest(id_)].used = self._clock()
        self._entries.move_to_end(_digest(id_))
        return content

    def peek(self, id_: str) -> K | None:
        """Return what `find` returns, and change nothing: what a page does by itself is no use of the id."""
        entry, now = self._entries.get(_digest(id_)), self._clock()
        if entry is None or now - entry.began > self._longest or now - entry.used > self._idle:
            return None
        return entry.content

    def drop(self, id_: str) -> K | None:
        """Remove the content, and return it."""
        entry = self._entries.pop(_digest(id_), None)
        return entry.content if entry else None


def _digest(id_: str) -> bytes:
    return hashlib.sha256(id_.encode()).digest()


@dataclass(slots=True)
class Sessions:
    """Who is signed in, and what waits for a sign-in."""

    signed_in: Store[Session]
    unsigned: Store[Unsigned]

    @classmethod
    def lasting(cls, longest: timedelta, idle: timedelta) -> Sessions:
        return cls(Store(MOST_SESSIONS, longest, idle), Store(MOST_UNSIGNED, UNSIGNED_FOR, UNSIGNED_FOR))
