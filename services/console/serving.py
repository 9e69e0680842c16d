"""Serve pages and acts: who is signed in, where a form comes from, what happens to what was typed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import cast

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from regista.errors import Invalid, RegistaError
from services.console import slider, waiting
from services.console.as_of import PARAMETER, is_canonical, moment_of, same_moment
from services.console.console import Console, status_of
from services.console.forms import BadForm, address_of, from_own_page, local_path, read_form, token_matches
from services.console.sessions import Unsigned
from services.console.view import Act, Download, Page, Show, Shown, View

Endpoint = Callable[[Request], Awaitable[Response]]
MEDIA_TYPES = {"json": "application/json", "csv": "text/csv; charset=utf-8", "zip": "application/zip"}
NOT_SENT = "You had to sign in first, so nothing was sent. What you typed is below: check it and send it."
STALE_FORM = "The form was older than your sign-in, so nothing was sent. Check it and send it again."


def serve_page(console: Console, page: Page) -> Endpoint:
    """Return the endpoint of a page."""

    async def endpoint(request: Request) -> Response:
        session = await console.session_of(request)
        here = address_of(request)
        if session is None:
            return console.to_sign_in(request, here)
        view = View(request, session, console.calls(session.credential))
        try:
            view.as_of = moment_of(view.query(PARAMETER))
        except RegistaError as error:
            return console.failed(view, error)
        if not is_canonical(view.query(PARAMETER)):
            return RedirectResponse(same_moment(view.now, view.as_of), 303)
        if request.url.path in session.kept:
            view.form, view.returned = session.kept.pop(request.url.path), True
            session.notices.append(NOT_SENT)
        return await _answered(console, view, page, here)

    return endpoint


async def _answered(console: Console, view: View, page: Page, here: str, status: int = 200) -> Response:
    show = _shown_then(page.then) if view.as_of else page.show
    view.has_past = not view.as_of and page.has_past(view)
    parts = await asyncio.gather(show(view), waiting.count(view), _slide(view), return_exceptions=True)
    try:
        for failed in parts:
            if isinstance(failed, BaseException):
                raise failed
        return console.shown(view, cast("Shown", parts[0]), status)
    except RegistaError as error:
        if error.status == 401:
            return console.to_sign_in(view.request, here)
        return console.failed(view, error)


async def _slide(view: View) -> None:
    """Find what moves a page of the past: an error page has it, too."""
    if view.as_of:
        view.slider = await slider.of_page(view)


def _shown_then(then: Show | str) -> Show:
    """Return what shows a page as of a moment."""
    if not isinstance(then, str):
        return then

    async def only_now(_view: View) -> Shown:
        return Shown("only_now.html", "Only known as it is now", "", {"why": then})

    return only_now


def serve_download(console: Console, download: Download) -> Endpoint:
    """Return the endpoint of a file that is made for the person."""

    async def endpoint(request: Request) -> Response:
        session = await console.session_of(request)
        if session is None:
            return console.to_sign_in(request, "/")
        view = View(request, session, console.calls(session.credential))
        try:
            view.as_of = moment_of(view.query(PARAMETER))
            name, content = await download.make(view)
        except RegistaError as error:
            return console.to_sign_in(request, "/") if error.status == 401 else console.failed(view, error)
        headers = {"content-disposition": f'attachment; filename="{name}"'}
        return Response(content, media_type=MEDIA_TYPES[name.rpartition(".")[2]], headers=headers)

    return endpoint


def serve_act(console: Console, act: Act) -> Endpoint:
    """Return the endpoint of an act. What was typed comes back unless the act was carried out."""

    async def endpoint(request: Request) -> Response:
        if not from_own_page(request, console.settings.console_url):
            return console.render("plain.html", 403, title="Nothing was sent", detail=_other_origin(console))
        try:
            form = await read_form(request)
        except BadForm as wrong:
            return console.render("plain.html", 422, title="Nothing was sent", detail=str(wrong))
        here = _address(act.page, request)
        session = await console.session_of(request)
        if session is None:
            return console.to_sign_in(request, here, Unsigned(here, form))
        view = View(request, session, console.calls(session.credential), form, address=here)
        if not token_matches(session, form):
            session.notices.append(STALE_FORM)
            return await _answered(console, view, act.page, here, 403)
        try:
            view.as_of = moment_of(view.query(PARAMETER))
            if view.as_of:
                raise _changes_nothing()
            done = await act.do(view)
        except RegistaError as error:
            if error.status == 401:
                return console.to_sign_in(request, here, Unsigned(here, form))
            view.problem = error
            return await _answered(console, view, act.page, here, status_of(error))
        if isinstance(done, Shown):
            return console.shown(view, done)
        session.waiting = (float("-inf"), 0)
        if done.notice:
            session.notices.append(done.notice)
        return RedirectResponse(done.to, 303)

    return endpoint


def serve_address_of_act(act: Act) -> Endpoint:
    """Return what leads from the address of an act to its page: a browser keeps the address of a refusal."""

    async def endpoint(request: Request) -> Response:
        return RedirectResponse(_address(act.page, request), 303)

    return endpoint


def _changes_nothing() -> Invalid:
    return Invalid(
        "page_of_the_past",
        "A page of the past changes nothing.",
        advice="Return to now, and send it from there.",
    )


def _other_origin(console: Console) -> str:
    where = console.settings.console_url or "the console's own address"
    return f"The form did not come from a page of this console. Open {where} and send it from there."


def _address(page: Page, request: Request) -> str:
    """Return the address of the page that an act belongs to; the form's address has the page's query."""
    path: str = Route(page.path, page.show, name="page").url_path_for("page", **request.path_params)
    return local_path(f"{path}?{request.url.query}" if request.url.query else path)
