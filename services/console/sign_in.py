"""Sign in and out: at an issuer that the log trusts, or with an API key that a person pastes."""

from __future__ import annotations

import hmac
from collections.abc import Sequence

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from regista.errors import RegistaError
from services.console.forms import BadForm, from_own_page, local_path, read_form, token_matches
from services.console.console import BACK, Console
from services.console.oidc import Begun, trusted
from services.console.sessions import Session, Unsigned

LONGEST_KEY = 400


def sign_in_routes(console: Console) -> Sequence[Route]:
    """Return the routes of the sign-in."""

    async def page(next_path: str, problem: str = "", status: int = 200, *, waiting: bool = False) -> Response:
        issuers = await trusted(console.calls()) if console.settings.console_url else []
        return console.render(
            "sign_in.html", status, next=next_path, problem=problem, waiting=waiting, issuers=issuers
        )

    async def show(request: Request) -> Response:
        next_path = local_path(request.query_params.get("next", "/"))
        if await console.session_of(request) is not None:
            return RedirectResponse(next_path, 303)
        found = console.sessions.unsigned.find(request.cookies.get(console.cookies.unsigned, ""))
        return await page(next_path, waiting=bool(found and found.form))

    async def sign_in(request: Request) -> Response:
        if not from_own_page(request, console.settings.console_url):
            own = console.settings.console_url or "the console's own address"
            return await page("/", f"Sign in from a page of this console: open {own}.", 403)
        try:
            form = await read_form(request)
        except BadForm as wrong:
            return await page("/", str(wrong), 422)
        next_path = local_path((form.get("next") or ["/"])[0])
        key = (form.get("key") or [""])[0].strip()
        if not key.startswith("rg_") or len(key) > LONGEST_KEY or not key.isascii():
            return await page(next_path, "An API key begins with rg_. Paste the whole key.", 422)
        try:
            caller = await console.calls(key).get("registry", "/access/me")
        except RegistaError as error:
            if error.status in {401, 403}:
                return await page(next_path, "This key is not valid: it may be revoked or expired.", 403)
            return await page(next_path, f"{error.detail} Try again in a moment.", 503)
        return begin(console, request, Session(key, caller), next_path)

    async def sign_out(request: Request) -> Response:
        session = await console.session_of(request)
        if not from_own_page(request, console.settings.console_url):
            return await page("/", "Sign out from a page of this console.", 403)
        try:
            form = await read_form(request)
        except BadForm:
            form = {}
        if session is not None and not token_matches(session, form):
            return RedirectResponse("/", 303)
        answer = RedirectResponse("/sign-in", 303)
        console.sessions.signed_in.drop(request.cookies.get(console.cookies.session, ""))
        console.cookies.drop(answer, console.cookies.session)
        return answer

    async def at_issuer(request: Request) -> Response:
        """Send the browser to an issuer that the log trusts."""
        next_path, wanted = local_path(request.query_params.get("next", "/")), request.query_params.get("issuer")
        issuer = next((one for one in await trusted(console.calls()) if one.url == wanted), None)
        if issuer is None:
            return await page(next_path, "This issuer is not trusted. Choose another way to sign in.", 404)
        kept = console.sessions.unsigned.drop(request.cookies.get(console.cookies.unsigned, ""))
        begun = Begun(issuer)
        try:
            address = await console.issuers.address(begun)
        except RegistaError as error:
            return await page(next_path, error.detail, 503)
        waiting = Unsigned(kept.path, kept.form, begun) if kept and kept.form else Unsigned(next_path, {}, begun)
        answer = RedirectResponse(address, 303)
        console.cookies.put(answer, console.cookies.unsigned, console.sessions.unsigned.put(waiting))
        return answer

    async def back(request: Request) -> Response:
        """Begin a session for the browser that comes back from the issuer with its own state."""
        waiting = console.sessions.unsigned.find(request.cookies.get(console.cookies.unsigned, ""))
        begun = waiting.begun if waiting else None
        state, issuer = (request.query_params.get(name, "") for name in ("state", "iss"))
        if waiting is None or begun is None or not hmac.compare_digest(state.encode(), begun.state.encode()):
            return await page("/", "This sign-in did not begin in this browser, or took too long. Try again.", 403)
        code = request.query_params.get("code", "")
        if not code or (issuer and issuer != begun.issuer.url):
            return await page(waiting.path, "The issuer did not let you sign in. Try again, or ask its operator.", 403)
        try:
            tokens = await console.issuers.redeem(begun, code)
            await console.calls(tokens.access).record_sign_in()
            caller = await console.calls(tokens.access).get("registry", "/access/me")
        except RegistaError as error:
            return await page(waiting.path, f"{error.detail} {error.advice}", 403 if error.status in {401, 403} else 503)
        return begin(console, request, Session("", caller, tokens), waiting.path)

    return (
        Route("/sign-in", show),
        Route("/sign-in/at", at_issuer),
        Route(BACK, back),
        Route("/sign-in", sign_in, methods=["POST"]),
        Route("/sign-out", sign_out, methods=["POST"]),
    )


def begin(console: Console, request: Request, session: Session, next_path: str) -> Response:
    """Begin a session under a new id, and go to where the person wanted to be, with what was typed there."""
    cookies, sessions = console.cookies, console.sessions
    if waiting := sessions.unsigned.drop(request.cookies.get(cookies.unsigned, "")):
        next_path = waiting.path
        if waiting.form:
            session.keep(waiting.path.partition("?")[0], waiting.form)
    sessions.signed_in.drop(request.cookies.get(cookies.session, ""))
    answer = RedirectResponse(next_path, 303)
    cookies.put(answer, cookies.session, sessions.signed_in.put(session))
    if cookies.unsigned in request.cookies:
        cookies.drop(answer, cookies.unsigned)
    return answer
