"""Links that sign a person in once: for people who try a Regista on their own machine.

Only who has the secret of this console makes one, for an API key. Its code stands after the `#`: a browser
sends that to no server, so it is in no log of requests and in no Referer. The page of the link posts it.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from regista.errors import RegistaError
from services.console.console import Console
from services.console.forms import BadForm, from_own_page, read_form
from services.console.sessions import LINK_FOR, Session
from services.console.sign_in import NO_KEY, begin, caller_of, is_key

PATH = "/sign-in/link"
LARGEST = 2_000
AGAIN = "Make another link: regista console"
USED = f"This link does not work: a link signs in once, within ten minutes. {AGAIN}"


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    key: str


@dataclass(frozen=True, slots=True)
class Links:
    """The endpoints of links. Without a secret in the settings there are none."""

    console: Console

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        if not self.console.settings.console_link_secret:
            return ()
        return (
            Route("/sign-in/links", self.make, methods=["POST"]),
            Route(PATH, self.show),
            Route(PATH, self.use, methods=["POST"]),
        )

    async def make(self, request: Request) -> Response:
        """Return a link for the API key in the body, to a program that has the secret."""
        given = request.headers.get("authorization", "").encode()
        if not hmac.compare_digest(given, f"Bearer {self.console.settings.console_link_secret}".encode()):
            return _problem(403, "The secret of this console is missing or wrong.")
        body = bytearray()
        async for chunk in request.stream():
            body += chunk
            if len(body) > LARGEST:
                return _problem(413, "The body is too large.")
        try:
            wanted = msgspec.json.decode(body, type=_Wanted)
        except msgspec.MsgspecError:
            return _problem(422, 'The body is {"key": "rg_…"}.')
        if not is_key(wanted.key):
            return _problem(422, NO_KEY)
        try:
            caller = await caller_of(self.console, wanted.key)
        except RegistaError as error:
            return _problem(error.status or 503, error.detail)
        code = self.console.sessions.links.put(wanted.key)
        seconds = int(LINK_FOR.total_seconds())
        link = f"{self.console.settings.console_url}{PATH}#{code}"
        return JSONResponse({"url": link, "subject": caller["subject"], "valid_for_seconds": seconds}, 201)

    async def show(self, request: Request) -> Response:
        """Show the page that sends the code; it needs a click when a person is signed in."""
        session = await self.console.session_of(request)
        return self._page(who=(session.caller["name"] or session.subject) if session else "")

    async def use(self, request: Request) -> Response:
        """Begin a session of the person of the link, under a new id. The link is used, whatever follows."""
        if not from_own_page(request, self.console.settings.console_url):
            return self._page(403, problem=f"Open the link at {self.console.settings.console_url}.")
        try:
            form = await read_form(request)
        except BadForm as wrong:
            return self._page(422, problem=str(wrong))
        code, links = (form.get("code") or [""])[0], self.console.sessions.links
        key = links.find(code)
        links.drop(code)
        if key is None:
            return self._page(403, problem=USED)
        try:
            caller = await caller_of(self.console, key)
        except RegistaError as error:
            return self._page(error.status or 503, problem=f"{error.detail} {AGAIN}")
        return begin(self.console, request, Session(key, caller), "/")

    def _page(self, status: int = 200, *, who: str = "", problem: str = "") -> Response:
        return self.console.render("link.html", status, who=who, problem=problem)


def _problem(status: int, detail: str) -> Response:
    content: dict[str, Any] = {"status": status, "detail": detail}
    return JSONResponse(content, status, media_type="application/problem+json")
