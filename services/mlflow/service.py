"""The requests of MLflow's clients as an ASGI application."""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Any

import msgspec
from starlette.applications import Starlette
from starlette.background import BackgroundTask
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.types import ASGIApp

from services.mlflow import info, versions
from services.mlflow.call import (
    DOCUMENTS_BYTES,
    Call,
    Documents,
    ReadFiles,
    fields_of,
    key_of,
    workspace_of,
)
from services.mlflow.callers import Callers
from services.mlflow.errors import MlflowError
from services.mlflow.repeats import Repeats
from services.mlflow.routes import ARTIFACTS, CREATE_VERSION, REGISTRY, ROOTS, STREAMS, Endpoint
from services.mlflow.settings import NEEDED, MlflowSettings
from services.mlflow.upstream import Upstream
from shared.foundation.bounded_cache import BoundedCache
from shared.http.access_log import SUBJECT
from shared.http.measured import Measured, serve_metrics

log = logging.getLogger(__name__)
_HEADERS = {"cache-control": "no-cache", "x-content-type-options": "nosniff"}
Answering = Callable[[Request], Awaitable[Response]]


class Front:
    """The application with what all requests share."""

    def __init__(self, settings: MlflowSettings, upstream: Upstream) -> None:
        self._settings, self._upstream, self._repeats = settings, upstream, Repeats()
        self._read_files, self._callers = ReadFiles(), Callers(upstream)
        self._documents: Documents = BoundedCache(DOCUMENTS_BYTES)

    def application(self) -> ASGIApp:
        """Return the application, below the prefix of the settings, if any."""
        routes = self._routes()
        prefix = self._settings.mlflow_prefix
        mounted = [Mount(prefix, routes=routes), *self._operations()] if prefix else routes
        return Measured(Starlette(routes=mounted, exception_handlers={404: _unknown, 405: _unknown}))

    def _routes(self) -> list[Route | Mount]:
        found: list[Route | Mount] = [*self._operations()]
        for root in ROOTS:
            found += [
                Route(root + path, partial(self._answer, endpoint), methods=[method])
                for method, path, endpoint in (*REGISTRY, *ARTIFACTS)
            ]
            method, path = CREATE_VERSION
            found.append(Route(root + path, self._create_version, methods=[method]))
        for version in ("3.0", "2.0"):
            for api in ("api", "ajax-api"):
                found.append(Route(f"/{api}/{version}/mlflow/server-info", _public(info.server_info)))
        found.append(Route("/version", _public(info.version)))
        return found

    def _operations(self) -> list[Route]:
        """Return what the operators' probes read: it is below no prefix, too."""
        return [
            Route("/health", _public(info.health)),
            Route("/healthz", _public(info.health)),
            Route("/readyz", self._readiness),
            Route("/metrics", serve_metrics),
        ]

    async def _readiness(self, _request: Request) -> Response:
        """Answer that this process serves, and which services are not ready: it refuses what needs them."""
        missing = [name for name in NEEDED if not await self._upstream.is_ready(name)]
        reasons = dict.fromkeys(missing, "it is not ready")
        return JSONResponse({"ready": True, "service": "mlflow", "reasons": reasons})

    async def _call(self, request: Request, *, fields: bool) -> Call:
        key = key_of(request)
        request.scope[SUBJECT] = self._callers.known(key)
        found = await fields_of(request) if fields else {}
        return Call(
            request,
            self._upstream,
            self._settings,
            key,
            workspace_of(request),
            self._read_files,
            self._callers,
            self._documents,
            found,
        )

    async def _answer(self, endpoint: Endpoint, request: Request) -> Response:
        async def answered() -> Response:
            call = await self._call(request, fields=endpoint not in STREAMS)
            return _response(await endpoint(call))

        return await _caught(request, answered)

    async def _create_version(self, request: Request) -> Response:
        async def answered() -> Response:
            call = await self._call(request, fields=True)
            body, (digest, number) = await versions.create(call, self._repeats)
            response = _response(body)

            async def delivered() -> None:  # a plain function would run in a thread, after the next request
                self._repeats.answered(digest, number)

            if not await request.is_disconnected():  # else the client repeats it, and gets this version
                response.background = BackgroundTask(delivered)
            return response

        return await _caught(request, answered)


async def _caught(request: Request, answered: Callable[[], Awaitable[Response]]) -> Response:
    try:
        return await answered()
    except MlflowError as error:
        return _refusal(error)
    except Exception as error:
        log.exception("a request failed", exc_info=error, extra={"route": request.url.path})
        return _refusal(MlflowError("INTERNAL_ERROR", "The service failed; its log has the reason."))


def _response(answer: Any) -> Response:
    if isinstance(answer, Response):
        return answer
    return Response(msgspec.json.encode(answer), 200, _HEADERS, "application/json")


def _refusal(error: MlflowError) -> Response:
    headers = dict(_HEADERS)
    if error.status == 401:
        headers["www-authenticate"] = 'Basic realm="regista"'
    if error.status in {429, 503}:
        headers["retry-after"] = "2"
    body = msgspec.json.encode({"error_code": error.code, "message": error.message})
    return Response(body, error.status, headers, "application/json")


def _public(made: Callable[[], Response]) -> Answering:
    async def answer(_request: Request) -> Response:
        return made()

    return answer


async def _unknown(request: Request, _error: Exception) -> Response:
    """Answer a path that this service does not have: tracking, traces, webhooks and the like."""
    return _refusal(
        MlflowError(
            "ENDPOINT_NOT_FOUND",
            f"{request.method} {request.url.path[:200]} is not served here. Regista is a model registry: set "
            "it with mlflow.set_registry_uri, and keep your tracking server for runs and experiments.",
        )
    )
