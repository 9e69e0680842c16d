"""The moment that a page is shown as of: read from the address, and kept in the links of the page."""

from __future__ import annotations

import re
from datetime import UTC, datetime, time, timedelta
from urllib.parse import quote

from regista.errors import Invalid

PARAMETER = "as_of"
DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
SECONDS = re.compile(r"\d{9,10}", re.ASCII)
"""What a slider sends without JavaScript: seconds since 1970."""
RECENT = timedelta(seconds=5)
"""Today is shown up to this long ago: later events may not be indexed yet."""
CLOCKS_DIFFER = timedelta(minutes=1)
HOW = "Write a day such as 2026-03-01, which is its end in UTC, or a time such as 2026-03-01T12:00:00Z."


def moment_of(text: str, now: datetime | None = None) -> str:
    """Return the moment in RFC 3339 in UTC, "" for "". Raises Invalid for other texts and for the future."""
    if not text:
        return ""
    now = now or datetime.now(UTC)
    at = _read(text)
    if at is None:
        raise Invalid("invalid_moment", f"{text!r:.80} is no time.", advice=HOW)
    if DAY.fullmatch(text):
        at = now - RECENT if at.date() == now.date() else datetime.combine(at, time.max, UTC)
    if at > now + CLOCKS_DIFFER:
        raise Invalid(
            "moment_in_the_future",
            f"{text!r:.80} is in the future: no one can state yet what will be then.",
            advice="Name an earlier moment, or return to now.",
        )
    return at.isoformat().replace("+00:00", "Z")


def is_canonical(text: str) -> bool:
    """Return whether the address shows what moment it means: seconds of a slider do not."""
    return SECONDS.fullmatch(text) is None


def _read(text: str) -> datetime | None:
    try:
        if SECONDS.fullmatch(text):
            return datetime.fromtimestamp(int(text), UTC)
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=UTC) if found.tzinfo is None else found.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


def until(text: str, as_of: str) -> str:
    """Return the end of a period that is seen from a moment: `text`, but no later than the moment."""
    if not as_of:
        return text
    end = _read(text) if text else None
    if end is None:
        return as_of
    last = datetime.combine(end, time.max, UTC) if DAY.fullmatch(text) else end
    return text if last <= datetime.fromisoformat(as_of) else as_of


def same_moment(href: str, as_of: str) -> str:
    """Return a link of the console to what it leads to as of the same moment."""
    if not as_of or f"{PARAMETER}=" in href:
        return href
    return f"{href}{'&' if '?' in href else '?'}{PARAMETER}={quote(as_of, safe='')}"
