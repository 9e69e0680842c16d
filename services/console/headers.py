"""The headers of every answer, and the cookies of the console."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from starlette.datastructures import MutableHeaders
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

CONTENT_POLICY: Final = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
"""Scripts and styles are files of our own: no inline script or style, no request to another origin."""
HEADERS: Final = {
    "content-security-policy": CONTENT_POLICY,
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}


class SafeHeaders:
    """Add the headers to every answer. What does not state how it may be kept is not stored anywhere."""

    def __init__(self, app: ASGIApp, *, secure: bool) -> None:
        self._app = app
        self._headers = HEADERS | ({"strict-transport-security": "max-age=31536000"} if secure else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                headers.update(self._headers)
                headers.setdefault("cache-control", "no-store")
            await send(message)

        await self._app(scope, receive, with_headers if scope["type"] == "http" else send)


@dataclass(frozen=True, slots=True)
class Cookies:
    """Three cookies that scripts cannot read. Over TLS their names bind them to this host and to TLS."""

    secure: bool

    @property
    def session(self) -> str:
        return f"{self._prefix}regista"

    @property
    def unsigned(self) -> str:
        return f"{self._prefix}regista-before"

    @property
    def started(self) -> str:
        return f"{self._prefix}regista-started"

    @property
    def _prefix(self) -> str:
        return "__Host-" if self.secure else ""

    def put(self, answer: Response, name: str, value: str) -> None:
        """Set a cookie that the browser drops when it is closed."""
        answer.set_cookie(name, value, path="/", httponly=True, secure=self.secure, samesite="lax")

    def drop(self, answer: Response, name: str) -> None:
        """Remove a cookie."""
        answer.delete_cookie(name, path="/", httponly=True, secure=self.secure, samesite="lax")
