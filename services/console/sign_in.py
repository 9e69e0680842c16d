"""Sign in and out: at an issuer that the log trusts, or with an API key that a person pastes."""

from __future__ import annotations

import hmac
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from regista.errors import RegistaError
from regista.shapes.registry import Caller
from services.console.console import BACK, Console
from services.console.forms import BadForm, from_own_page, local_path, read_form, token_matches
from services.console.oidc import Begun, Tokens, trusted
from services.console.sessions import Session, Started

log = logging.getLogger(__name__)
LONGEST_KEY, LONGEST_PATH = 400, 2_000
NOT_BEGUN = "This sign-in did not begin in this browser, or took too long. Try again."
NO_KEY = "An API key begins with rg_. Paste the whole key."
WRONG_KEY = "This key is not valid: it may be revoked or expired."
NOT_LET_IN = "The issuer did not let you sign in. Try again, or ask its operator."


@dataclass(frozen=True, slots=True)
class SignIn:
    """The endpoints of sign-in and sign-out."""

    console: Console

    def routes(self) -> Sequence[Route]:
        """Return the routes."""
        return (
            Route("/sign-in", self.show),
            Route("/sign-in", self.with_key, methods=["POST"]),
            Route("/sign-in/at", self.at_issuer),
            Route(BACK, self.back),
            Route("/sign-out", self.sign_out, methods=["POST"]),
        )

    async def show(self, request: Request) -> Response:
        """Show the ways to sign in; a person who is signed in goes on."""
        next_path = local_path(request.query_params.get("next", "/"))
        if await self.console.session_of(request) is not None:
            return RedirectResponse(next_path, 303)
        typed = self.console.sessions.unsigned.find(request.cookies.get(self.console.cookies.unsigned, ""))
        return await self._page(next_path, waiting=typed is not None)

    async def with_key(self, request: Request) -> Response:
        """Begin a session with an API key, of which the registry states the owner."""
        if not from_own_page(request, self.console.settings.console_url):
            own = self.console.settings.console_url or "the console's own address"
            return await self._page("/", f"Sign in from a page of this console: open {own}.", 403)
        try:
            form = await read_form(request)
        except BadForm as wrong:
            return await self._page("/", str(wrong), 422)
        next_path = local_path((form.get("next") or ["/"])[0])
        key = (form.get("key") or [""])[0].strip()
        if not is_key(key):
            return await self._page(next_path, NO_KEY, 422)
        try:
            caller = await caller_of(self.console, key)
        except RegistaError as error:
            return await self._page(next_path, error.detail, error.status or 503)
        return begin(self.console, request, Session(key, caller), next_path)

    async def at_issuer(self, request: Request) -> Response:
        """Send the browser to an issuer that the log trusts."""
        next_path, wanted = (
            local_path(request.query_params.get("next", "/")),
            request.query_params.get("issuer"),
        )
        issuer = next((one for one in await trusted(self.console.calls()) if one.url == wanted), None)
        if issuer is None:
            return await self._page(
                next_path, "This issuer is not trusted. Choose another way to sign in.", 404
            )
        begun = Begun(issuer)
        try:
            address = await self.console.issuers.address(begun)
        except RegistaError as error:
            return await self._page(next_path, error.detail, 503)
        cookies, started = self.console.cookies, self.console.sessions.started
        started.drop(request.cookies.get(cookies.started, ""))
        path = next_path if len(next_path) <= LONGEST_PATH else "/"
        answer = RedirectResponse(address, 303)
        cookies.put(answer, cookies.started, started.put(Started(path, begun)))
        return answer

    async def back(self, request: Request) -> Response:
        """Begin a session for the browser that comes back from the issuer with its own state."""
        started = self.console.sessions.started.find(request.cookies.get(self.console.cookies.started, ""))
        state, issuer = (request.query_params.get(name, "") for name in ("state", "iss"))
        if started is None or not hmac.compare_digest(state.encode(), started.begun.state.encode()):
            return await self._page("/", NOT_BEGUN, 403)
        begun, path = started.begun, started.path
        code = request.query_params.get("code", "")
        try:
            if not code or not await self.console.issuers.sent_back(begun, issuer):
                return await self._page(path, NOT_LET_IN, 403)
            tokens = await self.console.issuers.redeem(begun, code)
            await self.console.calls(tokens.access).record_sign_in()
            caller = await self.console.calls(tokens.access).get("registry", "/access/me")
        except RegistaError as error:
            status = 403 if error.status in {401, 403} else 503
            return await self._page(path, f"{error.detail} {error.advice}", status)
        return begin(self.console, request, Session("", caller, tokens), path)

    async def sign_out(self, request: Request) -> Response:
        """End the session: its cookie is worth nothing afterwards."""
        console = self.console
        session = await console.session_of(request)
        if not from_own_page(request, console.settings.console_url):
            return await self._page("/", "Sign out from a page of this console.", 403)
        try:
            form = await read_form(request)
        except BadForm:
            form = {}
        if session is not None and not token_matches(session, form):
            return RedirectResponse("/", 303)
        answer = RedirectResponse("/sign-in", 303)
        console.sessions.signed_in.drop(request.cookies.get(console.cookies.session, ""))
        console.cookies.drop(answer, console.cookies.session)
        if session is not None and session.tokens is not None:
            answer.background = BackgroundTask(_revoke, console, session.tokens)
        return answer

    async def _page(
        self, next_path: str, problem: str = "", status: int = 200, *, waiting: bool = False
    ) -> Response:
        issuers = await trusted(self.console.calls()) if self.console.settings.console_url else []
        content = {"next": next_path, "problem": problem, "waiting": waiting, "issuers": issuers}
        return self.console.render("sign_in.html", status, **content)


async def _revoke(console: Console, tokens: Tokens) -> None:
    """Let the issuer end its tokens, too; the session has ended, whether it does or not."""
    try:
        await console.issuers.revoke(tokens)
    except RegistaError as error:
        log.warning("the issuer revoked no token", extra={"code": error.code, "error": error.detail})


def is_key(text: str) -> bool:
    """Return whether the text may be an API key."""
    return text.startswith("rg_") and len(text) <= LONGEST_KEY and text.isascii() and text.isprintable()


async def caller_of(console: Console, key: str) -> Caller:
    """Return the owner of an API key, as the registry states it. Raises RegistaError with 403 or 503."""
    try:
        found: Caller = await console.calls(key).get("registry", "/access/me")
    except RegistaError as error:
        known = error.status in {401, 403}
        detail = WRONG_KEY if known else f"{error.detail} Try again in a moment."
        refused = RegistaError(error.code, detail)
        refused.status = 403 if known else 503
        raise refused from error
    return found


def begin(console: Console, request: Request, session: Session, next_path: str) -> Response:
    """Begin a session under a new id, and go to where the person wanted to be, with what was typed."""
    cookies, sessions = console.cookies, console.sessions
    if waiting := sessions.unsigned.drop(request.cookies.get(cookies.unsigned, "")):
        next_path = waiting.path
        session.keep(waiting.path.partition("?")[0], waiting.form)
    sessions.started.drop(request.cookies.get(cookies.started, ""))
    sessions.signed_in.drop(request.cookies.get(cookies.session, ""))
    answer = RedirectResponse(next_path, 303)
    cookies.put(answer, cookies.session, sessions.signed_in.put(session))
    for name in {cookies.unsigned, cookies.started} & request.cookies.keys():
        cookies.drop(answer, name)
    return answer
