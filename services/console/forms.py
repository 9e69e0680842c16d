"""Read forms, with limits, and decide whether a request comes from a page of the console."""

from __future__ import annotations

import hmac
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request

from services.console.sessions import Form, Session

LARGEST, MOST_FIELDS = 256 * 1024, 200
CSRF = "csrf"


class BadForm(Exception):  # noqa: N818 - names what the body is
    """The body is no form of the console, or too large."""


async def read_form(request: Request) -> Form:
    """Return the fields of a form. Raises BadForm."""
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST:
            raise BadForm(f"The form is larger than {LARGEST // 1024} KiB: shorten what you typed.")
    if request.headers.get("content-type", "").partition(";")[0] != "application/x-www-form-urlencoded":
        raise BadForm("The body is not a form.")
    try:
        fields = parse_qsl(
            bytes(body).decode("utf-8"), keep_blank_values=True, max_num_fields=MOST_FIELDS, errors="strict"
        )
    except (UnicodeDecodeError, ValueError) as error:
        raise BadForm("The form cannot be read: send it again from its page.") from error
    found: dict[str, list[str]] = {}
    for name, value in fields:
        found.setdefault(name, []).append(value.replace("\r\n", "\n"))
    return found


def from_own_page(request: Request, own: str) -> bool:
    """Return whether the browser states that the request comes from the console's own origin.

    `own` is the console's URL; without one it is the host that the request names.
    """
    origin = request.headers.get("origin", "")
    expected = own or f"{request.url.scheme}://{request.headers.get('host', '')}"
    return bool(origin) and origin == expected


def token_matches(session: Session, form: Form) -> bool:
    """Return whether the form has the token of the session."""
    return hmac.compare_digest((form.get(CSRF) or [""])[0].encode(), session.csrf.encode())


def local_path(text: str) -> str:
    """Return a path of the console with its query, "/" for anything that leads elsewhere."""
    if not text.startswith("/") or text.startswith(("//", "/\\")) or not text.isprintable() or "\\" in text:
        return "/"
    parts = urlsplit(text)
    return "/" if parts.scheme or parts.netloc or parts.path.startswith("//") else text


def address_of(request: Request) -> str:
    """Return the path of a request with its query, as a link to it in a page of the console."""
    return local_path(request.url.path + (f"?{request.url.query}" if request.url.query else ""))
