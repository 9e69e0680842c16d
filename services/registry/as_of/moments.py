"""Find the moments at which something happened to a model, whatever the number of its events.

Revisions of a stream have no gap, and their times ascend: so a moment is found by halving, and a long life is
shown by events at even distances.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime

import asyncpg
import msgspec

from services.registry.as_of.queries import NEWEST, NEXT, SOME
from services.registry.domain.model.state import stream_of
from shared.deciding.events import Actor

EVERY = 400
"""Events of a model that are all read; of a longer life, as many at even distances."""
AROUND = 60
"""Events before and behind a moment that are read, too."""
MOST_SHOWN = 100
"""Moments of a whole life that are shown."""
NOTE = "Noted"
"""The type of a copy of another service's event."""


class About(msgspec.Struct, frozen=True):
    """What the data of an event names."""

    number: int | None = None
    environment: str | None = None


class Moment(msgspec.Struct, frozen=True):
    """What happened at one moment: the envelope of an event, and what it names."""

    type: str
    revision: int
    recorded_at: datetime
    actor: Actor
    data: About


@dataclass(frozen=True, slots=True)
class Life:
    """The moments of a model, the oldest first, and those next to the moment that is asked about."""

    moments: Sequence[Moment]
    before: Moment | None
    after: Moment | None
    complete: bool


async def life(pool: asyncpg.Pool, model_id: str, at: datetime) -> Life:
    """Return the moments of a model: all of a short life, of a long one some and those around `at`."""
    stream = stream_of(model_id)
    newest = int(await pool.fetchval(NEWEST, stream))
    whole = await _read(pool, stream, spread(newest))
    known = {moment.revision: moment for moment in whole}
    if newest > EVERY:
        last = await _last(pool, stream, whole, at)
        around = range(max(1, last - AROUND), min(newest, last + AROUND) + 1)
        # all of them may be notes
        beyond = await pool.fetch(NEXT, stream, around.start, around.stop - 1, NOTE)
        wanted = [*around, *(row["revision"] for row in beyond)]
        known |= {moment.revision: moment for moment in await _read(pool, stream, wanted)}
    ordered = meaningful(known[revision] for revision in sorted(known))
    earlier = [moment for moment in ordered if moment.recorded_at < at]
    later = [moment for moment in ordered if moment.recorded_at > at]
    before, after = earlier[-1] if earlier else None, later[0] if later else None
    shown = ordered if len(ordered) <= MOST_SHOWN else thinned(ordered, before, after)
    return Life(shown, before, after, len(shown) == len(ordered) and newest <= EVERY)


def spread(newest: int) -> Sequence[int]:
    """Return the revisions to read: all, or EVERY of them at even distances with the first and the last."""
    if newest <= EVERY:
        return range(1, newest + 1)
    return sorted({1 + (newest - 1) * index // (EVERY - 1) for index in range(EVERY)})


async def _last(pool: asyncpg.Pool, stream: str, some: Sequence[Moment], at: datetime) -> int:
    """Return the last revision up to a moment, by halving the distance between two that are known."""
    low = max((one.revision for one in some if one.recorded_at <= at), default=0)
    high = min((one.revision for one in some if one.recorded_at > at), default=some[-1].revision + 1)
    while high - low > 1:
        middle = (low + high) // 2
        (moment,) = await _read(pool, stream, [middle])
        low, high = (middle, high) if moment.recorded_at <= at else (low, middle)
    return low


async def _read(pool: asyncpg.Pool, stream: str, revisions: Iterable[int]) -> list[Moment]:
    rows = await pool.fetch(SOME, stream, list(revisions))
    return [msgspec.json.decode(row["bytes"], type=Moment) for row in rows]


def meaningful(moments: Iterable[Moment]) -> list[Moment]:
    """Return one moment for each time, its first event, without copies of other services' events."""
    found: dict[datetime, Moment] = {}
    for moment in moments:
        if moment.type != NOTE:
            found.setdefault(moment.recorded_at, moment)
    return list(found.values())


def thinned(moments: Sequence[Moment], *kept: Moment | None) -> list[Moment]:
    """Return at most MOST_SHOWN of the moments at even distances, and those that are kept in any case."""
    steps = MOST_SHOWN - 1
    kept_at = {(len(moments) - 1) * index // steps for index in range(MOST_SHOWN)}
    return [moment for index, moment in enumerate(moments) if index in kept_at or moment in kept]
