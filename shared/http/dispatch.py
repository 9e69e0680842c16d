"""The ASGI application of a route table: find the route, authenticate, read the body, answer or refuse.

No middleware stack: each layer costs more than the work of a hot route.
"""

from __future__ import annotations

import asyncio
import logging
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import asyncpg
import msgspec
from prometheus_client import Histogram
from pydantic import BaseModel
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import compile_path
from starlette.types import Receive, Scope, Send

from shared.deciding.decider import Forbidden, Misrouted, NotFound, RuleBroken, Stale, Unprocessable
from shared.deciding.events import key_id_of
from shared.foundation.outages import POSTGRES
from shared.foundation.postgres import CONNECTION_ERRORS, Unavailable
from shared.foundation.telemetry import tracer
from shared.http import access_log, bodies, parameters
from shared.http.access_log import Served
from shared.http.app import App
from shared.http.callers import caller_of
from shared.http.known_names import known_names, typed
from shared.http.measured import METHODS, SECONDS
from shared.http.problems import Problem, of_exception
from shared.http.routes import DEPRECATED_AT, Call, Reply, Route, with_former_paths
from shared.log.eventlog import LogStopped

log = logging.getLogger(__name__)

NOWHERE: Mapping[str, Callable[[App], Problem]] = MappingProxyType({})
_ETAG = re.compile(r'"(\d{1,18})"')


def _hook(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return value.model_dump(mode="json")
    if isinstance(value, Mapping):
        return dict(value)
    return str(value)


_encode = msgspec.json.Encoder(enc_hook=_hook).encode


class Compiled:
    """A route, ready to match.

    `literal` is the length of its path outside of parameters: longer ones are tried first.
    """

    def __init__(self, route: Route) -> None:
        self.route = route
        self.regex, _, self.convertors = compile_path(route.path)
        self.literal = len(re.sub(r"\{[^}]*\}", "", route.path))
        self._observers: dict[int, Histogram] = {}
        self.read = None if route.streams else bodies.reader(route)

    def observe(self, status: int, seconds: float) -> None:
        """Count an answer; the labelled child is looked up once per status."""
        if (child := self._observers.get(status)) is None:
            child = self._observers[status] = SECONDS.labels(self.route.method, self.route.path, status)
        child.observe(seconds)


def _bucket(path: str) -> tuple[str, ...]:
    """Return the first two segments, as far as they are literal; routes are searched in their bucket only."""
    return tuple(path.split("/", 3)[1:3])


class Table:
    """All routes, found by path and method."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._buckets: dict[tuple[str, ...], list[Compiled]] = {}
        seen: set[tuple[str, str]] = set()
        for route in with_former_paths(routes):
            if (served := (route.method, re.sub(r"\{[^}:]*", "{", route.path))) in seen:
                msg = f"two routes for {route.method} {route.path}"
                raise ValueError(msg)
            seen.add(served)
            first, *rest = _bucket(route.path)
            key = (first, *(part for part in rest if "{" not in part))
            self._buckets.setdefault(key, []).append(Compiled(route))
        for bucket in self._buckets.values():
            bucket.sort(key=lambda c: -c.literal)

    def find(self, method: str, path: str) -> tuple[Compiled, dict[str, str]]:
        """Return the route and its path parameters. Raise Problem 404 or 405."""
        allowed: list[str] = []
        key = _bucket(path)
        for known in (key, key[:1]) if len(key) > 1 else (key,):
            for compiled in self._buckets.get(known, ()):
                if (match := compiled.regex.match(path)) is None:
                    continue
                if compiled.route.method == method:
                    return compiled, match.groupdict()
                allowed.append(compiled.route.method)
        if allowed:
            allow = ", ".join(sorted(set(allowed)))
            raise Problem(
                405, "method_not_allowed", f"{path} answers {allow}, not {method}.", {"allow": allow}
            )
        raise Problem(
            404, "no_such_route", f"There is nothing at {path}: see /openapi.json for what there is."
        )


@dataclass(slots=True)
class _Serving:
    """A request on its way through the application."""

    served: Served
    compiled: Compiled | None = None
    call: Call | None = None


class Application:
    """The application that uvicorn serves.

    All but public routes are answered with 503 until the service has started (`app.serving` is false), and
    while the log is stopped: a log that lost events may have lost a revocation.
    """

    def __init__(
        self,
        app: App,
        routes: Sequence[Route],
        elsewhere: Mapping[str, Callable[[App], Problem]] = NOWHERE,
    ) -> None:
        self._app = app
        self._table = Table(routes)
        self._elsewhere = elsewhere

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            msg = f"only HTTP is served, not {scope['type']}"
            raise RuntimeError(msg)
        began, status = time.perf_counter(), 0
        serving = _Serving(Served(scope["method"] if scope["method"] in METHODS else "other"))
        try:
            response = await self._respond(serving, scope, Request(scope, receive, send))
            status = response.status_code
            await response(scope, receive, send)
        except ClientDisconnect:
            return
        finally:
            seconds = time.perf_counter() - began
            if serving.compiled is not None and status and not serving.compiled.route.event_stream:
                serving.compiled.observe(status, seconds)
            access_log.write(serving.served, status, seconds)

    async def _respond(self, serving: _Serving, scope: Scope, request: Request) -> Response:
        """Return the answer, also that of a refusal or a fault."""
        try:
            _refuse_nul(scope)
            method = "GET" if scope["method"] == "HEAD" else scope["method"]
            compiled, path = self._find(method, scope["path"])
            serving.compiled, serving.served.route = compiled, compiled.route.path
            parent = request.headers.get("traceparent", "")
            with tracer.span(f"{compiled.route.method} {compiled.route.path}", parent) as trace:
                serving.served.trace = trace
                return await self._answer(serving, compiled, path, request)
        except ClientDisconnect:
            raise
        except Exception as error:  # noqa: BLE001 - the one place where every error becomes an answer
            problem = _refusal(error, scope)
            serving.served.code = problem.code
            await self._note_denied(error, problem, serving)
            return problem.response()

    def _find(self, method: str, path: str) -> tuple[Compiled, dict[str, str]]:
        """Return the route and its path parameters. Raise Problem, for another server's path its own one."""
        try:
            return self._table.find(method, path)
        except Problem:
            for beginning, refusal in self._elsewhere.items():
                if path.startswith(beginning):
                    raise refusal(self._app) from None
            raise

    async def _note_denied(self, error: Exception, problem: Problem, serving: _Serving) -> None:
        """Record that a rule denied what an identified caller tried. Reading what does not exist is none."""
        call, denied_attempts = serving.call, self._app.denied_attempts
        if denied_attempts is None or call is None:
            return
        match error:
            case NotFound() if call.concealed:
                code = "role_missing"
            case Forbidden() | Stale():
                code = problem.code
            case NotFound() | Unprocessable() | Misrouted():
                return
            case RuleBroken() if call.route.method != "GET":
                code = problem.code
            case _:
                return
        action = f"{call.route.method} {call.route.path}"
        counted = denied_attempts.counts(call.actor, code, action, call.model_id)
        known = set() if counted else await known_names(call)
        about = (call.actor, code, action, problem.detail, call.path, call.model_id)
        denied_attempts.note(*about, known=known, typed=typed(call))

    async def _answer(
        self, serving: _Serving, compiled: Compiled, path: dict[str, str], request: Request
    ) -> Response:
        route = compiled.route
        caller = await caller_of(self._app, route, request)
        call = serving.call = Call(self._app, route, request, caller.actor, caller.state, path)
        call.token = caller.token
        serving.served.subject = caller.actor.subject
        serving.served.key_id = key_id_of(caller.actor.method)
        if not route.content_etag and route.method != "GET":
            call.if_match = _if_match(request, required=route.needs_if_match)
        if route.query is not None:
            call.query = parameters.parsed(route.query, request)
        try:
            async with asyncio.timeout(route.timeout) as limit:
                if compiled.read is not None:
                    call.raw = await bodies.read_within(request, route.limit)
                    call.body = compiled.read(call.raw)
                answer = await route.endpoint(call)
        except TimeoutError:
            if limit.expired():
                raise _timed_out(route, self._app.readiness.reasons) from None
            raise
        return _response(answer, route, request)


def _timed_out(route: Route, reasons: dict[str, str]) -> Problem:
    """Return 503 with the parts of this process that do not work: one of them did not answer."""
    parts = "".join(f" {part}: {reason}." for part, reason in reasons.items())
    return Problem(
        503,
        "timed_out",
        f"No answer within {route.timeout:g} s, and the outcome is not known: "
        f"repeat with the same Idempotency-Key.{parts}",
        {"retry-after": "2"},
        reasons=reasons,
    )


def _refusal(error: Exception, scope: Scope) -> Problem:
    problem = of_exception(error)
    if problem is None:
        log.error(
            "a request failed", exc_info=error, extra={"method": scope["method"], "path": scope["path"]}
        )
        problem = Problem(
            500,
            "internal_error",
            "The service failed at this request; its log has the reason. "
            "Repeating it is safe with the same Idempotency-Key.",
        )
    elif isinstance(error, (Unavailable, *CONNECTION_ERRORS)) and not isinstance(error, LogStopped):
        POSTGRES.report(error)  # a line for each request would flood the log during an outage
    elif problem.status >= 500 or isinstance(error, asyncpg.PostgresError):
        log.warning(
            "a request was refused",
            extra={"path": scope["path"], "code": problem.code, "why": str(error.__cause__ or error)},
        )
    return problem


def _refuse_nul(scope: Scope) -> None:
    """PostgreSQL keeps every character but this one."""
    if "\x00" in scope["path"] or b"%00" in scope["query_string"]:
        raise Problem(400, "nul_character", "A path or query has no NUL character.")


def _if_match(request: Request, *, required: bool) -> int | None:
    text = request.headers.get("if-match")
    if text is None:
        if required:
            raise Problem(
                428,
                "if_match_required",
                'Read the resource, then send its ETag as If-Match ("*" for: whatever it is now).',
            )
        return None
    if text.strip() == "*":
        return None
    if (match := _ETAG.fullmatch(text.strip())) is None:
        raise Problem(
            412,
            "unknown_etag",
            'This If-Match is no ETag of this service: read the resource and send its ETag, for example "3".',
        )
    return int(match[1])


def _response(answer: Any, route: Route, request: Request) -> Response:
    if isinstance(answer, Response):
        return answer
    reply = answer if isinstance(answer, Reply) else Reply(answer)
    headers = {"cache-control": "no-cache", "x-content-type-options": "nosniff", **reply.headers}
    if route.deprecated:
        headers["deprecation"] = DEPRECATED_AT
    if reply.etag is not None:
        headers["etag"] = f'"{reply.etag}"'
        if route.method == "GET" and headers["etag"] in request.headers.get("if-none-match", ""):
            return Response(b"", 304, headers)
    status = reply.status or route.status
    if reply.body is None:
        return Response(b"", 204 if status == 200 else status, headers)
    headers.setdefault("content-type", "application/json")
    return Response(encoded(reply.body), status, headers)


def encoded(body: Any) -> bytes:
    """JSON of what an endpoint returned; bytes are JSON already."""
    if isinstance(body, bytes):
        return body
    return body.model_dump_json().encode() if isinstance(body, BaseModel) else _encode(body)
