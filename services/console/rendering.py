"""Turn pages into HTML: one Jinja environment that escapes every value."""

from __future__ import annotations

import hashlib
import json
import re
import uuid
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import jinja2
from jinja2.runtime import Context
from markupsafe import Markup, escape

from regista.errors import RegistaError
from services.console.areas import areas
from services.console.as_of import RECENT, same_moment
from services.console.calls import segment
from services.console.plain_words import compared, finding, found_by, happened, in_words, plain, reason_of

FOLDER = Path(__file__).parent
STATIC = FOLDER / "static"
MINUTE, HOUR, DAY = 60, 3600, 86400
_UNITS = ((365 * DAY, "y"), (30 * DAY, "mo"), (DAY, "d"), (HOUR, "h"), (MINUTE, "min"))


def moment(text: Any) -> datetime | None:
    """Return the time of a text in RFC 3339, or None."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def ago(text: Any, now: datetime | None = None) -> str:
    """Return how far a time is from now, in its largest unit: `9 d ago`, `in 3 h`, `just now`."""
    at = moment(text)
    if at is None:
        return "never" if not text else str(text)
    seconds = ((now or datetime.now(UTC)) - at).total_seconds()
    for size, unit in _UNITS:
        if abs(seconds) >= size:
            count = f"{int(abs(seconds) // size)} {unit}"
            return f"{count} ago" if seconds > 0 else f"in {count}"
    return "just now" if seconds >= 0 else "now"


def exact(text: Any) -> str:
    """Return a time to the second, in UTC."""
    at = moment(text)
    return f"{at.astimezone(UTC):%-d %b %Y, %H:%M:%S} UTC" if at else str(text or "")


def day(text: Any) -> str:
    """Return the date of a time, in UTC."""
    at = moment(text)
    return f"{at.astimezone(UTC):%-d %b %Y}" if at else str(text or "")


def short(text: Any) -> str:
    """Return an id or a digest shortened in the middle."""
    whole, dirty = str(text or "").removesuffix("-dirty"), "-dirty" * str(text).endswith("-dirty")
    kept = 15 if whole.startswith("sha256:") else 8
    return (f"{whole[:kept]}…{whole[-4:]}" if len(whole) > kept + 6 else whole) + dirty


def figure(value: Any) -> str:
    """Return a number with at most four decimals."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return written(value)
    return f"{value:,}" if isinstance(value, int) else f"{value:.4f}".rstrip("0").rstrip(".")


def size(count: Any) -> str:
    """Return a number of bytes with its unit."""
    if not isinstance(count, int | float):
        return "unknown size"
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < 1024 or unit == "GiB":
            break
        value /= 1024
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.1f} {unit}"


def written(value: Any) -> str:
    """Return any JSON value as text: texts as they are, nothing as a dash."""
    if value is None or value == "":
        return "–"
    if isinstance(value, float):
        return figure(value)
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, sort_keys=True)


def pretty(value: Any) -> str:
    """Return any JSON value on many lines."""
    return json.dumps(value, ensure_ascii=False, indent=2, sort_keys=True)


def sentence(text: str) -> str:
    """Return the text with a capital at its beginning."""
    return text[:1].upper() + text[1:]


def with_code(text: Any) -> Markup:
    """Return a text for people as HTML: what it has between backticks is code."""
    parts = str(text or "").split("`")
    if len(parts) % 2 == 0:
        return escape(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(p) if at % 2 else escape(p) for at, p in enumerate(parts)
    )


def with_name(text: str, subject: str, name: str) -> str:
    """Return a text with the name in place of the subject where it stands alone: no word has it as a part."""
    alone = rf"(?<![\w:.@-]){re.escape(subject)}(?!\.?[\w:@-])"
    return re.sub(alone, lambda _: name or subject, text)


def initials(name: str) -> str:
    """Return up to two initials of a name."""
    found = [part[0] for part in name.replace(":", " ").replace("-", " ").split() if part[0].isalnum()]
    return "".join(found[:1] + found[-1:] if len(found) > 1 else found).upper()


def url(*segments: object, **query: Any) -> str:
    """Return a path of the console; parameters that are None or "" are left out."""
    path = "/" + "/".join(map(segment, segments))
    given = {name: value for name, value in query.items() if value not in (None, "", [])}
    return f"{path}?{urlencode(given, doseq=True)}" if given else path


LIST_PAGES = {
    "/v1/reviews": "/reviews",
    "/v1/policies": "/policies",
    "/v1/cleanup-runs": "/cleanup",
    "/v1/issuers": "/access/issuers",
    "/v1/trusts": "/access/trusts",
}
"""The path that a service names for the list of what there is; the page that shows it."""


def list_page(error: RegistaError) -> str:
    """Return the page with the list of what there is, "" where the service named none."""
    return LIST_PAGES.get(str(error.facts.get("listed_at") or "").partition("?")[0], "")


@jinja2.pass_context
def _url(context: Context, *segments: object, **query: Any) -> str:
    """Return a path of the console, as of the moment of the page that it is on."""
    return _same_moment(context, url(*segments, **query))


@jinja2.pass_context
def _same_moment(context: Context, href: str) -> str:
    return same_moment(href, getattr(context.get("view"), "as_of", ""))


@jinja2.pass_context
def _moved(context: Context, at: str) -> str:
    """Return the address of the page as of another moment."""
    now: str = context["view"].now
    return same_moment(now, at)


def a_moment_ago() -> str:
    """Return the newest moment that a page can be shown as of, to the second."""
    return (datetime.now(UTC) - RECENT).isoformat(timespec="seconds").replace("+00:00", "Z")


def from_seconds(seconds: int) -> str:
    """Return a time in RFC 3339 from seconds since 1970."""
    return datetime.fromtimestamp(seconds, UTC).isoformat()


def _versions() -> dict[str, str]:
    """Return each file of `static` with a digest for its URL, so that browsers may keep it."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()[:12]
        for file in STATIC.iterdir()
        if file.is_file()
    }


def environment(packages: dict[str, str]) -> jinja2.Environment:
    """Return the environment of all templates. `packages` has the URLs of front-end packages by name."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(FOLDER / "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    digests = _versions()
    found.filters |= {
        "ago": ago,
        "exact": exact,
        "day": day,
        "short": short,
        "figure": figure,
        "size": size,
        "written": written,
        "plain": plain,
        "pretty": pretty,
        "with_code": with_code,
        "with_name": with_name,
        "sentence": sentence,
        "initials": initials,
        "from_seconds": from_seconds,
        "list_page": list_page,
        "areas": areas,
    }
    found.globals |= {
        "url": _url,
        "same_moment": _same_moment,
        "moved": _moved,
        "a_moment_ago": a_moment_ago,
        "in_words": in_words,
        "finding": finding,
        "found_by": found_by,
        "reason_of": reason_of,
        "happened": happened,
        "compared": compared,
        "new_key": lambda: str(uuid.uuid4()),
        "packages": packages,
        "static": lambda name: f"/static/{name}?v={digests[name]}",
    }
    return found
