"""uvicorn inside this process: own socket, no signal handlers of its own, stopped by us."""

from __future__ import annotations

import contextlib
import logging
import socket
from collections.abc import Iterator

import uvicorn
from starlette.types import ASGIApp

from shared.foundation.settings import Settings

log = logging.getLogger(__name__)

FINISH_WITHIN = 5
"""Seconds that answers under way get when the process stops."""


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's (shared/run.py)."""
        yield


class Server:
    """The HTTP server of a process. Port 0 takes a free one; `port` says which."""

    def __init__(self, app: ASGIApp, settings: Settings) -> None:
        family = socket.AF_INET6 if ":" in settings.http_host else socket.AF_INET
        self._socket = socket.create_server(
            (settings.http_host, settings.http_port), family=family, backlog=2048
        )
        self._host = settings.http_host
        self.port: int = self._socket.getsockname()[1]
        config = uvicorn.Config(
            app,
            http="httptools",
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
        """Serves until `stop`."""
        log.info("listening", extra={"url": f"http://{self._host}:{self.port}"})
        await self._server.serve(sockets=[self._socket])

    def stop(self) -> None:
        """Accepts nothing more and lets answers under way finish."""
        self._server.should_exit = True
