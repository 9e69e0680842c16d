"""Define a kind of stream: its state, the commands that change it, and how its events fold. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Generic, TypeVar

NO_TIME = datetime(1970, 1, 1, tzinfo=UTC)
"""The value of a command's `now` until the transaction sets it to the clock of the database
(shared/log/batch.py)."""

C = TypeVar("C")
E = TypeVar("E")
S = TypeVar("S")


class RuleBroken(Exception):  # noqa: N818 - a broken rule is an answer, not a fault
    """A rule forbids the command. The command fails alone and leaves no event.

    `code` is stable and machine-readable; `detail` states what is wrong and what to do next.
    """

    def __init__(self, code: str, detail: str, **facts: object) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.detail = detail
        self.facts = facts


class NotFound(RuleBroken):
    """What the command names does not exist."""


class Stale(RuleBroken):
    """The caller decided on an older state (If-Match): it must read again, then repeat."""


class Unprocessable(RuleBroken):
    """The command is well-formed, but no state allows it."""


class Forbidden(RuleBroken):
    """The actor lacks the role that the command needs."""


class Misrouted(RuleBroken):
    """The command named streams that are not the right ones any more: look them up again and resubmit."""


@dataclass(frozen=True, slots=True)
class Fold(Generic[E, S]):
    """One kind of stream: `category` is the prefix of its streams, `evolve` folds an event into the state.

    `evolve` never raises and holds no rules.
    """

    category: str
    initial: S
    evolve: Callable[[S, E], S]


@dataclass(frozen=True, slots=True)
class Decider(Fold[E, S], Generic[C, E, S]):
    """A fold whose commands need no other stream.

    `decide` is pure. It returns no events when the requested state is reached already, and raises RuleBroken
    when a rule forbids the command.
    """

    decide: Callable[[C, S], Sequence[E]] = field(kw_only=True)


@dataclass(frozen=True, slots=True)
class Streams:
    """The input of a joint decision: the state of each stream it writes or depends on, and past events."""

    states: Mapping[str, Any]
    past: Mapping[tuple[str, int], Any] = field(default_factory=dict)

    def state(self, fold: Fold[Any, S], stream: str) -> S:
        """Return the state of `stream`.

        Raises KeyError when the stream was not loaded or is of another kind than `fold`.
        """
        if category_of(stream) != fold.category:
            raise KeyError(f"{stream} is not a stream of {fold.category}")
        found: S = self.states[stream]
        return found


def _nothing(_command: object, _streams: Streams) -> Iterable[tuple[str, int]]:
    return ()


@dataclass(frozen=True, slots=True)
class Joint(Generic[C]):
    """A decision over several streams. `decide` returns the events of each stream it writes.

    `past_events` names events, as (stream, revision), whose content is too large to keep in the state. They
    are loaded into `Streams.past`.
    """

    decide: Callable[[C, Streams], Mapping[str, Sequence[Any]]]
    past_events: Callable[[C, Streams], Iterable[tuple[str, int]]] = _nothing


def category_of(stream: str) -> str:
    """Return the category of a stream: the part before the first dash."""
    return stream.partition("-")[0]
