"""The console as a process: its table of pages and acts, its files and probes."""

from __future__ import annotations

import asyncio
import logging
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from regista.errors import RegistaError
from services.console import pages
from services.console.console import Console
from services.console.forms import address_of
from services.console.headers import SafeHeaders
from services.console.links import Links
from services.console.live import serve_live
from services.console.serving import serve_act, serve_address_of_act, serve_download, serve_page
from services.console.settings import ConsoleSettings
from services.console.sign_in import SignIn
from services.console.view import View
from shared.foundation.event_loop import Loop
from shared.foundation.settings import WRONG_SETTING, SettingsWrong
from shared.foundation.telemetry import set_up_logs
from shared.http.measured import Measured, serve_metrics
from shared.http.server import Server

log = logging.getLogger(__name__)


def routes(console: Console) -> list[Route]:
    """Return the table of the console: pages, acts, files and probes."""
    table = [Route(page.path, serve_page(console, page)) for page in pages.PAGES]
    table += [Route(one.path, serve_download(console, one)) for one in pages.DOWNLOADS]
    table += [Route(act.path, serve_act(console, act), methods=["POST"]) for act in pages.ACTS]
    table += [Route(act.path, serve_address_of_act(act)) for act in pages.ACTS]
    return [*table, Route("/live", serve_live(console)), *_files_and_probes(console)]


def _files_and_probes(console: Console) -> Sequence[Route]:
    async def alive(_request: Request) -> Response:
        return JSONResponse({"alive": True, "service": "console"})

    async def ready(_request: Request) -> Response:
        """Report readiness: the pages state which service is unavailable, so the console stays ready."""
        good, why = await console.calls().ready("registry")
        reasons = {} if good else {"registry": why or "is not ready"}
        return JSONResponse({"ready": True, "service": "console", "reasons": reasons})

    return (
        Route("/static/{name}", console.front_end.serve_own),
        Route("/packages/{name}", console.front_end.serve_package),
        Route("/healthz", alive),
        Route("/readyz", ready),
        Route("/metrics", serve_metrics),
    )


def application(console: Console) -> ASGIApp:
    """Return the console as an ASGI application. The answer to a failure has the headers, too."""

    async def missing(request: Request, _error: Exception) -> Response:
        session = await console.session_of(request)
        if session is None:
            return console.to_sign_in(request, address_of(request))
        error = RegistaError("not_found", "No page has this address.", advice="Start from Home or search.")
        error.status = 404
        return console.failed(View(request, session, console.calls()), error)

    async def broken(_request: Request, error: Exception) -> Response:
        log.error("a page failed", exc_info=error)
        return console.render(
            "plain.html",
            500,
            title="The console failed",
            detail="Report it with the time. Nothing that you see was changed by showing it.",
        )

    @asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        await console.http.aclose()

    found = Starlette(
        routes=[*routes(console), *SignIn(console).routes(), *Links(console).routes()],
        exception_handlers={404: missing, Exception: broken},
        lifespan=lifespan,
    )
    return SafeHeaders(Measured(found), secure=console.cookies.secure)


async def _serve(settings: ConsoleSettings) -> None:
    console = Console(settings)
    server = Server(application(console), settings)
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, server.stop)
    if not console.front_end.packages:
        log.warning("no front-end packages: pages load as a whole (REGISTA_CONSOLE_PACKAGES)")
    await server.run()
    await console.http.aclose()


def main() -> None:
    """Run the console until SIGTERM. The exit code is 78 because of a setting."""
    set_up_logs("console", "INFO")
    try:
        settings = ConsoleSettings.from_environment()
        settings.require_registry()
        set_up_logs("console", settings.log_level)
        logging.getLogger("httpx").setLevel(logging.WARNING)
        with asyncio.Runner(loop_factory=Loop) as runner:
            runner.run(_serve(settings))
    except SettingsWrong as wrong:
        log.critical("cannot start: a setting is wrong", extra={"error": str(wrong)})
        sys.exit(WRONG_SETTING)
    log.info("stopped")
