"""What a kind of stream is: its state, the commands that may change it, and how its events fold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""Stands in a command's `now` until the transaction puts the database clock there (shared/log/batch.py): whoever builds the command leaves it alone."""

C = TypeVar("C")
E = TypeVar("E")
S = TypeVar("S")


class RuleBroken(Exception):  # noqa: N818 - a broken rule is an answer, not a fault
    """A command that a rule forbids and that nobody needs to remember: it fails alone and leaves no event.

    `code` is stable and machine-readable; `detail` says what is wrong and what to do next.
    """

    def __init__(self, code: str, detail: str, **facts: Any) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.facts = facts


class NotFound(RuleBroken):
    """What the command names does not exist."""


class Stale(RuleBroken):
    """The caller decided on an older state (If-Match): read again, then repeat."""


class Unprocessable(RuleBroken):
    """The command is well-formed but says something that can never be true."""


class Forbidden(RuleBroken):
    """The actor may not do this: another role is needed."""


class Misrouted(RuleBroken):
    """The streams named were not the right ones any more: look them up again and resubmit."""


@dataclass(frozen=True, slots=True)
class Fold(Generic[E, S]):
    """One kind of stream (`category` is the stream's prefix) and how its events become its state.

    `evolve` never raises and holds no rules.
    """

    category: str
    initial: S
    evolve: Callable[[S, E], S]


@dataclass(frozen=True, slots=True)
class Decider(Fold[E, S], Generic[C, E, S]):
    """A fold whose commands need no other stream.

    `decide` is pure; it returns no events when the wish is already true and raises RuleBroken when a rule
    forbids it.
    """

    decide: Callable[[C, S], Sequence[E]] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Streams:
    """What a joint decision sees: the folded state of each stream written or depended on, and the past events it recalled."""

    states: Mapping[str, Any]
    past: Mapping[tuple[str, int], Any] = field(default_factory=dict)

    def state(self, fold: Fold[Any, S], stream: str) -> S:
        """Return the state of `stream`. Raises KeyError when the stream was not loaded or is of another kind than `fold`."""
        if not stream.startswith(fold.category):
            raise KeyError(f"{stream} is no stream of {fold.category}")
        found: S = self.states[stream]
        return found


def _nothing(_command: Any, _streams: Streams) -> Iterable[tuple[str, int]]:
    return ()


@dataclass(frozen=True, slots=True)
class Joint(Generic[C]):
    """A decision over several streams, atomically: `decide` returns the events of each stream it writes.

    `past_events` names past events, as (stream, revision), whose content is too large to keep in the state; they
    arrive in `Streams.past`.
    """

    decide: Callable[[C, Streams], Mapping[str, Sequence[Any]]]
    past_events: Callable[[C, Streams], Iterable[tuple[str, int]]] = _nothing


def category_of(stream: str) -> str:
    """The kind of a stream: what stands before the first dash."""
    return stream.partition("-")[0]
