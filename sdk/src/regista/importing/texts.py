"""Texts of another registry in the form and within the limits that this one stores."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from datetime import UTC, datetime
from typing import Any

from regista.urls import without_credentials
from regista.wire import limits

_EARLIEST, _LATEST = 0, 253_402_300_799_000


def clean(value: Any) -> Any:
    """Return a JSON value that every service can store.

    NUL and half a surrogate pair become U+FFFD; numbers that JSON does not hold exactly become text; URLs
    lose their credentials.
    """
    if isinstance(value, str):
        text = without_credentials(value.replace("\0", "�"))
        return text.encode("utf-8", "replace").decode("utf-8") if _has_surrogates(text) else text
    if isinstance(value, bool) or value is None:
        return value
    if isinstance(value, int):
        return value if -limits.EXACT <= value <= limits.EXACT else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if isinstance(value, Mapping):
        return {str(clean(str(name))): clean(inner) for name, inner in value.items()}
    return [clean(inner) for inner in value] if isinstance(value, list | tuple) else clean(str(value))


def bare(value: Any) -> Any:
    """Return a value of JSON, or a data class of such, without the credentials of URLs in its texts.

    Call it before a text is cut or divided: half a URL does not show what in it is secret.
    """
    if isinstance(value, str):
        return without_credentials(value)
    if isinstance(value, Mapping):
        return {bare(name): bare(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [bare(inner) for inner in value]
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{one.name: bare(getattr(value, one.name)) for one in fields(value)})
    return value


def _has_surrogates(text: str) -> bool:
    return any("\ud800" <= c <= "\udfff" for c in text)


def shortened(text: str, most: int) -> str:
    """Return the text with at most so many characters; an ellipsis shows that some are missing."""
    return text if len(text) <= most else text[: most - 1] + "…"


def fitted_tags(tags: Mapping[str, str]) -> tuple[dict[str, str], list[str]]:
    """Return the tags that a model or version can have here, and the names of the others."""
    fit = {k: v for k, v in tags.items() if 0 < len(k) <= limits.TAG_NAME and len(v) <= limits.TAG_VALUE}
    kept, room = dict[str, str](), limits.TAGS_TEXT
    for name, value in sorted(fit.items()):
        if len(kept) < limits.TAGS and len(name) + len(value) <= room:
            kept[name] = value
            room -= len(name) + len(value)
    return kept, sorted(tags.keys() - kept.keys())


def moment(milliseconds: Any) -> str | None:
    """Return a time in RFC 3339, None for what is none."""
    try:
        count = int(milliseconds)
    except (TypeError, ValueError, OverflowError):
        return None
    if not _EARLIEST < count <= _LATEST:
        return None
    return rfc3339(datetime.fromtimestamp(count / 1000, UTC))


def rfc3339(at: datetime) -> str | None:
    """Return a time as JSON has it; None for one that UTC cannot state. Without a zone it is in UTC."""
    zoned = at if at.tzinfo else at.replace(tzinfo=UTC)
    try:
        shown = zoned.astimezone(UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return None
    return shown.replace("+00:00", "Z")
