"""Read moments: a time, or a day in UTC."""

from __future__ import annotations

from datetime import UTC, date, datetime, time

from shared.deciding.decider import Unprocessable
from shared.http.moments import end

FIRST = datetime(1, 1, 1, tzinfo=UTC)


def beginning(moment: datetime | date | None) -> datetime:
    """Return the moment, or the beginning of the day in UTC; the first moment for None."""
    if moment is None or isinstance(moment, datetime):
        return moment or FIRST
    return datetime.combine(moment, time.min, UTC)


def period(
    since: datetime | date | None, until: datetime | date | None, now: datetime
) -> tuple[datetime, datetime]:
    """Return the first and the last moment of a period. Raise Unprocessable when it ends before it begins."""
    first, last = beginning(since), end(until, now)
    if until is not None and last < first:
        raise Unprocessable(
            "period_reversed",
            f"The period ends before it begins ({first.isoformat()} to {last.isoformat()}): "
            "exchange `since` and `until`.",
        )
    return first, last
