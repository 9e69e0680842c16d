"""HTTP to the services: discovery, keys, retries that are bounded and safe, problems turned into exceptions."""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from regista.errors import RegistaError, Unavailable, from_problem
from regista.profile import Profile

BUSY = frozenset({408, 429, 502, 503, 504})
CONNECT_SECONDS = 5.0
READ_SECONDS = 120.0
STORE_SECONDS = 900.0  # until a service has stored a large upload for good
Content = Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to retry: `attempts` in all, pauses (seconds) doubling from `first` to `longest`, each with full jitter."""

    attempts: int = 6
    first: float = 0.2
    longest: float = 5.0

    def pause(self, attempt: int, asked: str | None) -> float:
        """Seconds before the attempt after `attempt` (from 0); a service's Retry-After counts, up to the longest pause."""
        drawn = random.uniform(0, min(self.longest, self.first * 2**attempt))  # noqa: S311 - jitter, no secret
        return max(drawn, min(self.longest, float(asked))) if asked and asked.isdigit() else drawn


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its JSON and its ETag ("" where there is none)."""

    status: int
    body: Any
    etag: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """One connection pool for all services. Every request that changes something carries an Idempotency-Key, so a retry repeats nothing."""

    def __init__(self, profile: Profile, patience: Patience | None = None) -> None:
        self._profile = profile
        self._patience = patience or Patience()
        self._http: httpx.AsyncClient | None = None
        self._urls: dict[str, str] = {}

    async def close(self) -> None:
        """Closes the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            agent = {"User-Agent": "regista-python"}
            if self._profile.api_key:
                agent["Authorization"] = f"Bearer {self._profile.api_key}"
            self._http = httpx.AsyncClient(headers=agent, timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS), verify=_trust())
        return self._http

    async def url_of(self, service: str) -> str:
        """The base URL of a service; all but the registry's come from its /.well-known/regista. Raises Unavailable."""
        registry = self._profile.need("url").rstrip("/")
        if service == "registry":
            return registry
        if not self._urls:
            answer = await self._persist(lambda: self._client().get(f"{registry}/.well-known/regista"))
            found = _json(answer)
            services = found.get("services", found) if isinstance(found, dict) else {}
            self._urls = {name: str(url).rstrip("/") for name, url in services.items()}
        if service not in self._urls:
            raise Unavailable("service-unknown", f"the registry at {registry} names no URL for the service {service!r}")
        return self._urls[service]

    async def call(
        self, method: str, service: str, path: str, *, query: Mapping[str, Any] | None = None, body: Any = None, if_match: str = "",
        idempotency_key: str = "",
    ) -> Answer:  # fmt: skip
        """One request to `/v1<path>` of a service, JSON in and out. Raises RegistaError."""
        url = f"{await self.url_of(service)}/v1{path}"
        headers = {"If-Match": if_match} if if_match else {}
        if method != "GET":
            headers["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        params = {k: _text(v) for k, v in (query or {}).items() if v is not None}
        got = await self._persist(lambda: self._client().request(method, url, params=params, content=content, headers=headers))
        return Answer(got.status_code, _json(got), got.headers.get("etag", ""), got.headers)

    async def upload(self, service: str, path: str, query: Mapping[str, Any], content: Content, size: int) -> Answer:
        """Streams a body of `size` bytes; `content` is asked for a fresh stream at each attempt. Raises RegistaError."""
        url = f"{await self.url_of(service)}/v1{path}"
        headers = {"Content-Type": "application/octet-stream", "Content-Length": str(size), "Idempotency-Key": str(uuid.uuid4())}
        params = {k: _text(v) for k, v in query.items() if v is not None}
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=STORE_SECONDS)
        got = await self._persist(lambda: self._client().post(url, params=params, content=content(), headers=headers, timeout=timeout))
        return Answer(got.status_code, _json(got), got.headers.get("etag", ""), got.headers)

    @asynccontextmanager
    async def download(self, service: str, path: str) -> AsyncIterator[httpx.Response]:
        """A response whose body is still to be streamed. Raises RegistaError; a stream that breaks off raises httpx.TransportError."""
        request = self._client().build_request("GET", f"{await self.url_of(service)}/v1{path}")
        got = await self._persist(lambda: self._client().send(request, stream=True))
        try:
            yield got
        finally:
            await got.aclose()

    async def _persist(self, send: Callable[[], Awaitable[httpx.Response]]) -> httpx.Response:
        for attempt in range(self._patience.attempts):
            last = attempt == self._patience.attempts - 1
            asked = None
            try:
                got = await send()
            except httpx.TransportError as e:
                if last:
                    raise Unavailable("unreachable", f"{_where(e)} did not answer ({type(e).__name__}) in {attempt + 1} attempts") from e
            except httpx.InvalidURL as e:
                raise Unavailable("unreachable", f"no URL: {e}") from e
            else:
                if got.is_success:
                    return got
                await got.aread()
                if got.status_code not in BUSY or last:
                    raise _error(got)
                asked = got.headers.get("retry-after")
            await asyncio.sleep(self._patience.pause(attempt, asked))
        raise AssertionError


@functools.cache
def _trust() -> ssl.SSLContext:
    """The machine's own certificate authorities (`SSL_CERT_FILE` counts), read once: each client of httpx would read them again for 80 ms."""
    return ssl.create_default_context()


def _where(error: httpx.TransportError) -> str:
    try:
        return f"{error.request.url.scheme}://{error.request.url.netloc.decode()}"
    except RuntimeError:
        return "the service"


def _error(got: httpx.Response) -> RegistaError:
    try:
        problem = msgspec.json.decode(got.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = {}
    return from_problem(got.status_code, problem if isinstance(problem, dict) else {})


def _json(got: httpx.Response) -> Any:
    if not got.content:
        return None
    try:
        return msgspec.json.decode(got.content)
    except (msgspec.MsgspecError, UnicodeDecodeError) as e:
        raise Unavailable("not-regista", f"{got.request.url} answered something that is no JSON: is this the registry's URL?") from e


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
