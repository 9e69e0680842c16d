"""What the pages of a process share, and how a page becomes an answer."""

from __future__ import annotations

import logging
from dataclasses import dataclass, field

import httpx
import jinja2
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from regista.errors import Invalid, NotFound, RegistaError, Unauthorized
from services.console.calls import BY_SCRIPT, Calls, client
from services.console.front_end import FrontEnd
from services.console.headers import Cookies
from services.console.oidc import Issuers
from services.console.rendering import environment
from services.console.sessions import Session, Sessions, Unsigned
from services.console.settings import ConsoleSettings
from services.console.view import Shown, View
from shared.http.access_log import SUBJECT

log = logging.getLogger(__name__)
BACK = "/signed-in"
"""Where an issuer sends the browser back to; the client at the issuer lists it."""


def status_of(error: RegistaError) -> int:
    """Return the status of an answer that shows the error: that of the service, or of the class."""
    own = 404 if isinstance(error, NotFound) else 422 if isinstance(error, Invalid) else 503
    return error.status or own


@dataclass(slots=True)
class Console:
    """What the pages of a process share."""

    settings: ConsoleSettings
    http: httpx.AsyncClient = field(default_factory=client)
    sessions: Sessions = field(init=False)
    cookies: Cookies = field(init=False)
    front_end: FrontEnd = field(init=False)
    templates: jinja2.Environment = field(init=False)
    issuers: Issuers = field(init=False)

    def __post_init__(self) -> None:
        self.sessions = Sessions.lasting(self.settings.longest, self.settings.idle)
        self.cookies = Cookies(self.settings.console_url.startswith("https:"))
        self.issuers = Issuers(self.http, f"{self.settings.console_url}{BACK}")
        self.front_end = FrontEnd(self.settings.console_packages)
        self.templates = environment({name: file.integrity for name, file in self.front_end.packages.items()})

    def calls(self, credential: str = "") -> Calls:
        """Return the calls of a person, or of no one."""
        return Calls(self.http, self.settings.public_urls, credential)

    async def session_of(self, request: Request) -> Session | None:
        """Return the session of the browser, or None. Tokens that end soon are replaced.

        While the issuer does not answer, a person goes on until the token ends. What the script of a page
        requests by itself does not prolong the session.
        """
        id_ = request.cookies.get(self.cookies.session, "")
        store = self.sessions.signed_in
        session = store.peek(id_) if BY_SCRIPT in request.headers else store.find(id_)
        if session is not None:
            request.scope[SUBJECT] = session.subject
        if session is None or session.tokens is None or not session.tokens.old:
            return session
        try:
            await self.issuers.renew(session.tokens)
        except Unauthorized:
            self.sessions.signed_in.drop(id_)
            return None
        except RegistaError as unavailable:
            log.warning(
                "a token cannot be replaced", extra={"code": unavailable.code, "error": unavailable.detail}
            )
        return session

    def render(self, template: str, status: int = 200, **content: object) -> HTMLResponse:
        """Return a page."""
        return HTMLResponse(self.templates.get_template(template).render(content), status)

    def shown(self, view: View, page: Shown, status: int = 200) -> HTMLResponse:
        """Return a page inside the frame, with what the session has to report."""
        notices, view.session.notices = view.session.notices, []
        return self.render(
            page.template,
            status,
            view=view,
            session=view.session,
            page=page,
            notices=notices,
            names=page.names,
            **page.content,
        )

    def failed(self, view: View, error: RegistaError) -> Response:
        """Return the page of an error: what is wrong, and what to do."""
        status = status_of(error)
        if status >= 500:
            log.warning("a page cannot be shown", extra={"code": error.code, "error": error.detail})
        titles = {403: "You may not see this", 404: "There is nothing here"}
        title = titles.get(status, "This cannot be shown now" if status >= 500 else "This cannot be shown")
        return self.shown(
            view, Shown("error.html", title, "", {"error": error, "server_fault": status >= 500}), status
        )

    def to_sign_in(self, request: Request, path: str, form: Unsigned | None = None) -> Response:
        """Send the browser to the sign-in, and back afterwards.

        What was typed waits only where a session has just ended: others could fill the memory with forms.
        """
        target = str(httpx.URL("/sign-in", params={"next": path}))
        answer = RedirectResponse(target, 303)
        id_ = request.cookies.get(self.cookies.session, "")
        self.sessions.signed_in.drop(id_)
        if form is not None and self.sessions.signed_in.has_ended(id_):
            self.cookies.put(answer, self.cookies.unsigned, self.sessions.unsigned.put(form, form.size))
        if id_ and BY_SCRIPT not in request.headers:  # the page that is shown may still send its form
            self.cookies.drop(answer, self.cookies.session)
        return answer
