"""Run uvicorn inside this process, on a socket of ours and without its signal handlers."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from shared.foundation.settings import Settings, SettingsWrong
from shared.http.connection import GuardedProtocol

log = logging.getLogger(__name__)

FINISH_WITHIN = 5
"""Time that requests in progress have to finish when the process stops, in seconds."""


def _cannot_listen(settings: Settings, error: OSError) -> str:
    """Return which setting of the address is wrong, and what to do."""
    number = error.errno or 0
    fault = os.strerror(number) if number > 0 else error.strerror  # a name that is unknown has no errno
    why = f"cannot listen on {settings.http_host}:{settings.http_port} ({fault})"
    if error.errno in {errno.EADDRINUSE, errno.EACCES}:
        return f"REGISTA_HTTP_PORT: {why}: stop what listens there, or choose another port"
    return f"REGISTA_HTTP_HOST: {why}: name an address of this machine"


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Install no handlers: shared/run.py handles the signals of the process."""
        yield


class Server:
    """The HTTP server of a process. With port 0 the system chooses a free port; `port` is its number.

    Raises SettingsWrong when nothing can listen at the address of the settings.
    """

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        try:
            self._socket = socket.create_server(
                (settings.http_host, settings.http_port), family=family, backlog=2048
            )
        except OSError as error:
            raise SettingsWrong(_cannot_listen(settings, error)) from error
        # accepted sockets inherit it: an answer in two parts would wait 40 ms for its acknowledgement
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._host = settings.http_host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http=GuardedProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=FINISH_WITHIN,
        )
        self._server = _Uvicorn(config)

    async def run(self) -> None:
        """Serve until `stop` is called."""
        log.info("listening", extra={"url": f"http://{self._host}:{self.port}"})
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Accept no more connections; requests in progress finish."""
        self._server.should_exit = True
