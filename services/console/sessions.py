"""Keep who is signed in: opaque ids in cookies, everything else in this process.

A cookie holds a random id, the process its digest. So what a browser stores is worth nothing after sign-out,
a credential never leaves the process, and a dump of the sessions contains no cookie.
"""

from __future__ import annotations

import hashlib
import secrets
import sys
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Generic, TypeVar

from regista.shapes.registry import Caller
from services.console.happened import Recent
from services.console.oidc import Begun, Tokens

Form = Mapping[str, list[str]]
"""The fields of a form, each with its values."""
MOST_SESSIONS, MOST_UNSIGNED, MOST_STARTED = 10_000, 1_000, 20_000
MOST_FORM_BYTES = 32 * 1024 * 1024
"""Memory of all forms that wait for a sign-in."""
MOST_KEPT = 20
UNSIGNED_FOR = timedelta(minutes=15)
"""How long a sign-in may take, and what was typed waits for it."""
MOST_LINKS, LINK_FOR = 100, timedelta(minutes=10)


@dataclass(slots=True)
class Session:
    """One person in one browser.

    `key` is the API key of a person who signed in with one, else `tokens` are those of the issuer. `kept` has
    the fields of forms that were not carried out, by the path of their page, `notices` what the next page
    reports, `seen` the revision of each review at the last visit, `waiting` how many reviews wait for the
    person, and when they were counted, `recent` what happened lately.
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
    recent: Recent = field(default_factory=Recent)

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
    """A form whose session has ended: the address of its page, and what was typed there."""

    path: str
    form: Form

    @property
    def size(self) -> int:
        """How many bytes of memory it takes."""
        texts = [self.path, *self.form, *(value for values in self.form.values() for value in values)]
        return sum(map(sys.getsizeof, texts))


@dataclass(frozen=True, slots=True)
class Started:
    """A sign-in at an issuer, and where the browser goes afterwards."""

    path: str
    begun: Begun


K = TypeVar("K")


@dataclass(slots=True)
class _Entry(Generic[K]):
    content: K
    began: float
    used: float
    size: int


class Store(Generic[K]):
    """Contents by opaque ids, for a limited time; the one that is unused for longest makes room.

    `most` limits their number, `most_bytes` the sum of the sizes that `put` gets.
    """

    def __init__(
        self,
        most: int,
        longest: timedelta,
        idle: timedelta,
        clock: Callable[[], float] = time.monotonic,
        most_bytes: int = 0,
    ) -> None:
        self._most, self._most_bytes, self._bytes = most, most_bytes, 0
        self._longest, self._idle = longest.total_seconds(), idle.total_seconds()
        self._clock = clock
        self._entries: OrderedDict[bytes, _Entry[K]] = OrderedDict()
        self._ended: OrderedDict[bytes, None] = OrderedDict()

    def put(self, content: K, size: int = 0) -> str:
        """Store the content, and return its id."""
        now, id_ = self._clock(), secrets.token_urlsafe(32)
        while self._entries and (len(self._entries) >= self._most or self._bytes + size > self._most_bytes):
            self._remove(next(iter(self._entries)))
        self._entries[_digest(id_)] = _Entry(content, now, now, size)
        self._bytes += size
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
        return self._remove(_digest(id_))

    def has_ended(self, id_: str) -> bool:
        """Return whether the id was one of this store: the last ones that ended are known."""
        return _digest(id_) in self._ended

    def _remove(self, digest: bytes) -> K | None:
        entry = self._entries.pop(digest, None)
        if entry is None:
            return None
        self._bytes -= entry.size
        self._ended[digest] = None
        if len(self._ended) > self._most:
            self._ended.popitem(last=False)
        return entry.content


def _digest(id_: str) -> bytes:
    return hashlib.sha256(id_.encode()).digest()


@dataclass(slots=True)
class Sessions:
    """Who is signed in, and what waits for a sign-in. `links` has the API keys of links that work once."""

    signed_in: Store[Session]
    unsigned: Store[Unsigned]
    started: Store[Started]
    links: Store[str]

    @classmethod
    def lasting(cls, longest: timedelta, idle: timedelta) -> Sessions:
        return cls(
            Store(MOST_SESSIONS, longest, idle),
            Store(MOST_UNSIGNED, UNSIGNED_FOR, UNSIGNED_FOR, most_bytes=MOST_FORM_BYTES),
            Store(MOST_STARTED, UNSIGNED_FOR, UNSIGNED_FOR),
            Store(MOST_LINKS, LINK_FOR, LINK_FOR),
        )
