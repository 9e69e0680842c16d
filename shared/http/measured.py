"""Measure requests: the time to answer, by method, route and status. A route stands for all its paths.

Requests of the fronts, which are Starlette applications, leave their access line here, too.
"""

from __future__ import annotations

import time

from prometheus_client import CONTENT_TYPE_LATEST, Histogram, generate_latest
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from shared.http import access_log
from shared.http.access_log import SUBJECT, Served

BUCKETS = (0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 10)
SECONDS = Histogram("regista_http_seconds", "Time to answer", ["method", "route", "status"], buckets=BUCKETS)
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
UNKNOWN = "unknown"
"""Stands for what callers choose freely: a path without a route, a method that HTTP does not have."""


def exposition() -> Response:
    """Return the metrics of this process, as Prometheus reads them."""
    return Response(generate_latest(), media_type=CONTENT_TYPE_LATEST)


async def serve_metrics(_request: Request) -> Response:
    """Answer a scraper."""
    return exposition()


class Measured:
    """Measure the requests of a Starlette application, each until its answer begins, and log each one."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        method = scope["method"] if scope["method"] in METHODS else UNKNOWN

        async def measured(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                SECONDS.labels(method, _route(scope) or UNKNOWN, status).observe(time.perf_counter() - began)
            await send(message)

        try:
            await self._app(scope, receive, measured)
        finally:
            served = Served(method, _route(scope), subject=scope.get(SUBJECT, ""))
            access_log.write(served, status, time.perf_counter() - began)


def _route(scope: Scope) -> str:
    return getattr(scope.get("route"), "path", "")
