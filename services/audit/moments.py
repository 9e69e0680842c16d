"""Read moments: a time, or a day in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

FIRST = datetime(1, 1, 1, tzinfo=UTC)


def beginning(moment: datetime | date | None) -> datetime:
    """Return the moment, or the beginning of the day in UTC; the first moment for None."""
    if moment is None or isinstance(moment, datetime):
        return moment or FIRST
    return datetime.combine(moment, time.min, UTC)


def end(moment: datetime | date | None, now: datetime) -> datetime:
    """Return the moment, or the end of the day in UTC but not later than `now`; `now` for None."""
    if moment is None or isinstance(moment, datetime):
        return moment or now
    return min(datetime.combine(moment, time.max, UTC), max(now, beginning(moment)))
