"""Declare the routes of a service in one table, and what an endpoint gets and returns.

shared/http/dispatch.py serves the table: authentication, bodies, ETags, idempotency and problems. The same
table makes the OpenAPI document (shared/http/openapi.py). Measured: a request costs a third of what it costs
in FastAPI.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any, Generic, Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field
from starlette.requests import Request
from typing_extensions import TypeVar

from regista.wire.cloudevents import NotACloudEvent, check_text
from regista.wire.limits import DATA_BYTES
from shared.deciding.access import ANY_ROLE, AccessState, check, permits, readable_namespaces
from shared.deciding.events import Actor, encode
from shared.deciding.submission import Cause, Permission
from shared.foundation.telemetry import current_trace
from shared.http.app import App
from shared.http.problems import Problem
from shared.identity.tokens import Token

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]
B = TypeVar("B", default=Any)
Q = TypeVar("Q", default=Any)
BODY_LIMIT = DATA_BYTES


class Body(BaseModel):
    """The base of request bodies and queries: unknown fields, NaN and infinity are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def page_token(*sort_key: object) -> str:
    """Return an opaque token of a position in a list: the sort key of the last item shown."""
    return base64.urlsafe_b64encode(msgspec.json.encode(sort_key)).decode().rstrip("=")


def read_page_token(token: str, *types: Any) -> tuple[Any, ...]:
    """Return the sort key in the token. Raises Problem 422 when the token is not one of this list."""
    try:
        sort_key = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        return msgspec.json.decode(sort_key, type=tuple[types])  # type: ignore[valid-type]
    except (binascii.Error, msgspec.MsgspecError, ValueError) as error:
        raise Problem(
            422, "invalid_page_token", "This page_token does not belong to this list: start again without it."
        ) from error


class PageQuery(Body):
    """The query of a list: `page_token` is the `next_page_token` of the answer before."""

    page_size: int = Field(default=50, ge=1, le=500)
    page_token: str = Field(default="", max_length=500)

    def after(self, *types: type) -> tuple[Any, ...] | None:
        """Return the sort key of the last item of the page before, or None for the first page.

        Raises Problem 422 for a token of another list.
        """
        return read_page_token(self.page_token, *types) if self.page_token else None

    def next_token(self, rows: Sequence[Mapping[str, Any]], *columns: str) -> str:
        """Return the token of the page after these rows, or "" for the last page: a short page is the last.

        `columns` are those by which the rows are sorted.
        """
        return page_token(*(rows[-1][name] for name in columns)) if len(rows) == self.page_size else ""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer.

    `body` is bytes (JSON already encoded), a pydantic model, or anything msgspec encodes. `etag` is a
    revision.
    """

    body: Any = None
    status: int | None = None
    etag: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)


Endpoint = Callable[["Call"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class Route:
    """One route of the table.

    `path` is written as in Starlette (`/v1/models/{model}/versions/{version}:promote`, `{path:path}`).
    `body` is a pydantic model, or a msgspec struct, which is decoded several times faster. `contract` is then
    the pydantic model of the same JSON: it documents the route and lists every error of a body that the
    struct refuses.
    `response` is the type of the answer: a pydantic model, a dataclass or a msgspec struct.
    `needs_if_match`: a request without If-Match is refused with 428.
    `content_etag`: the ETag is that of stored bytes, and the endpoint itself compares If-Match with it.
    `public`: the route needs no API key.
    `signs_in`: the route needs a valid token, whose person the log need not have.
    `streams`: the endpoint reads the body itself with `call.stream()` and sets its own limit. `form`
    documents such a body, when it is a form.
    `limit` is the maximum size of a body in bytes, `timeout` the time limit in seconds.
    `event_stream`: the answer are server-sent events, each with JSON of the type `response`. It lasts until
    the caller leaves, so its time is not measured.
    `also` are statuses that it answers beside `status` and those that every such route has.
    `former` are paths that it had before: they are served with the header Deprecation, and not documented.
    """

    method: Method
    path: str
    endpoint: Endpoint
    summary: str
    body: type[BaseModel | msgspec.Struct] | None = field(default=None, kw_only=True)
    contract: type[BaseModel] | None = field(default=None, kw_only=True)
    query: type[BaseModel] | None = field(default=None, kw_only=True)
    response: Any = field(default=None, kw_only=True)
    status: int = field(default=200, kw_only=True)
    tags: Sequence[str] = field(default=(), kw_only=True)
    needs_if_match: bool = field(default=False, kw_only=True)
    content_etag: bool = field(default=False, kw_only=True)
    public: bool = field(default=False, kw_only=True)
    signs_in: bool = field(default=False, kw_only=True)
    streams: bool = field(default=False, kw_only=True)
    form: type[BaseModel] | None = field(default=None, kw_only=True)
    event_stream: bool = field(default=False, kw_only=True)
    limit: int = field(default=BODY_LIMIT, kw_only=True)
    timeout: float = field(default=30.0, kw_only=True)
    also: Sequence[int] = field(default=(), kw_only=True)
    former: Sequence[str] = field(default=(), kw_only=True)
    deprecated: bool = field(default=False, kw_only=True)


DEPRECATED_AT = "@1795910400"
"""RFC 9745: since when former paths are deprecated, 29 November 2026."""


def with_former_paths(routes: Iterable[Route]) -> Iterator[Route]:
    """Yield each route, and a deprecated one for each of its former paths."""
    for route in routes:
        yield route
        for path in route.former:
            yield replace(route, path=path, former=(), deprecated=True)


@dataclass(slots=True)
class Call(Generic[B, Q]):
    """A request, as an endpoint gets it.

    `Call[Body, Query]` types `body` and `query`, which are of the route's models. `if_match` is None when the
    header is absent or `*`. Denied attempts are recorded with the `model_id` that the endpoint has set;
    `concealed`: the answer 404 stands for a role that the caller lacks. `token` is that of the request, if it
    came with one.
    """

    app: App
    route: Route
    request: Request
    actor: Actor
    access_state: AccessState
    path: Mapping[str, str]
    query: Q = None  # type: ignore[assignment]
    body: B = None  # type: ignore[assignment]
    raw: bytes = b""
    if_match: int | None = None
    concealed: bool = False
    model_id: str = ""
    token: Token | None = None
    _cause: Cause | None = field(default=None, init=False, repr=False)

    @property
    def headers(self) -> Mapping[str, str]:
        """The request's headers, with names in lower case."""
        return self.request.headers

    def cause(self) -> Cause:
        """Return the cause of a command: the Idempotency-Key, or a new id, with the request's digest.

        Raises Problem 422 for an Idempotency-Key or X-Correlation-ID that no event can carry.
        """
        if self._cause is None:
            key, correlation_id = (
                self.headers.get("idempotency-key", ""),
                self.headers.get("x-correlation-id", ""),
            )
            if why := _unfit("Idempotency-Key", key):
                raise Problem(
                    422,
                    "invalid_idempotency_key",
                    f"Send another Idempotency-Key, for example a UUID: {why}.",
                )
            if why := _unfit("X-Correlation-ID", correlation_id):
                raise Problem(
                    422,
                    "invalid_correlation_id",
                    f"Send another X-Correlation-ID, for example a UUID: {why}.",
                )
            self._cause = Cause(
                source=f"http/{self.actor.subject}",
                id=key or str(uuid.uuid4()),
                digest=self._digest(canonical=bool(key)),
                correlation_id=correlation_id,
                trace=current_trace(),
            )
        return self._cause

    def _digest(self, *, canonical: bool) -> bytes:
        """Return SHA-256 of method, path, query, If-Match and body.

        `canonical`: a repeated Idempotency-Key is compared with the digest, so the body's JSON is made
        canonical.
        """
        body = encode(msgspec.json.decode(self.raw)) if canonical and self.raw else self.raw
        request = (
            self.route.method,
            self.request.url.path,
            self.request.url.query,
            self.headers.get("if-match", ""),
        )
        return hashlib.sha256("\n".join(request).encode() + b"\n" + body).digest()

    def require(self, role: str, namespace: str) -> None:
        """Raise Forbidden (403) unless the caller has the role in the namespace."""
        if not permits(self.access_state, role, namespace):
            check(self.access_state, Permission(role, namespace), datetime.now(UTC))

    def may_read(self, namespace: str) -> bool:
        """Return whether the caller has any role there. Without one, nothing there exists for them."""
        if permits(self.access_state, ANY_ROLE, namespace):
            return True
        self.concealed = True
        return False

    def may_read_model(self, model_id: str, namespace: str) -> bool:
        """Return `may_read(namespace)`. A denied attempt is recorded as one on this model."""
        self.model_id = model_id
        return self.may_read(namespace)

    def require_any_role(self) -> None:
        """Raise Forbidden (403) unless the caller has a role in any namespace."""
        if self.readable() == []:
            self.require(ANY_ROLE, "")

    def readable(self) -> list[str] | None:
        """Return the namespaces that the caller may read, for `log.covers`; None means every namespace."""
        found = readable_namespaces(self.access_state)
        return None if found is None else sorted(found)

    def stream(self) -> AsyncIterator[bytes]:
        """Return the body in chunks, for routes that stream."""
        return self.request.stream()


def _unfit(header: str, value: str) -> str:
    """Return why the value cannot identify a request, or "".

    Public events carry it, so a CloudEvent must be able to.
    """
    try:
        if value:
            check_text(header, value)
    except NotACloudEvent as illegal:
        return illegal.reason
    return "it may have at most 200 characters" if len(value) > 200 else ""
