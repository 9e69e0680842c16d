"""Send HTTP requests to the services: discovery, authentication, safe retries, problems as exceptions."""

from __future__ import annotations

import asyncio
import functools
import random
import ssl
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from regista.client.profile import Profile
from regista.errors import NotConfigured, RegistaError, Unavailable, from_problem

BUSY = frozenset({408, 429, 502, 503, 504})
CONNECT_SECONDS = 5.0
READ_SECONDS = 40.0  # one attempt; a service ends its own work earlier
LONG_SECONDS = 600.0  # a request that reads the whole log or all models
STORE_SECONDS = 900.0  # from the last byte of an upload until the service has stored it
SLOWEST = 100_000  # bytes per second; a slower upload fails
WELL_KNOWN = "/.well-known/regista"
Content = Callable[[], AsyncIterator[bytes]]


@dataclass(frozen=True, slots=True)
class Patience:
    """How often and how long to retry.

    For `total` seconds, in `attempts` at most (0: as many as there is time for); the pauses double from
    `first` to `longest`, with full jitter.
    """

    attempts: int = 0
    first: float = 0.2
    longest: float = 5.0
    total: float = 60.0

    def pause(self, attempt: int, retry_after: str | None) -> float:
        """Return the seconds to wait after attempt number `attempt` (from 0).

        A service's Retry-After extends the pause, up to the longest one.
        """
        drawn = random.uniform(0, min(self.longest, self.first * 2 ** min(attempt, 20)))  # noqa: S311 - jitter, no secret
        return (
            max(drawn, min(self.longest, float(retry_after)))
            if retry_after and retry_after.isdecimal()
            else drawn
        )


@dataclass(frozen=True, slots=True)
class Answer:
    """A successful answer: its JSON, its ETag ("" without one), its headers."""

    status: int
    body: Any
    etag: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """One connection pool for all services.

    Every request that changes something carries an Idempotency-Key, so that a retry has no second effect.
    """

    def __init__(self, profile: Profile, patience: Patience | None = None) -> None:
        self._profile = profile
        self.patience = patience or Patience()
        self._http: httpx.AsyncClient | None = None
        self._urls: dict[str, str] = {}

    async def close(self) -> None:
        """Close the connections."""
        if self._http is not None:
            await self._http.aclose()
            self._http = None

    def _client(self) -> httpx.AsyncClient:
        if self._http is None:
            self._http = httpx.AsyncClient(
                headers=self._agent(),
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                verify=_trust(),
            )
        return self._http

    def _agent(self) -> dict[str, str]:
        key = {"Authorization": f"Bearer {self._profile.api_key}"} if self._profile.api_key else {}
        return {"User-Agent": "regista-python"} | key

    async def url_of(self, service: str) -> str:
        """Return the base URL of a service; the registry's /.well-known/regista names the others'.

        Raises Unavailable.
        """
        registry = self._registry()
        if service == "registry":
            return registry
        if not self._urls:
            self._urls = _services(
                await self._with_retries(registry, lambda: self._client().get(registry + WELL_KNOWN))
            )
        return self._discovered(service)

    def _registry(self) -> str:
        url = self._profile.need("url").rstrip("/")
        try:
            parsed = httpx.URL(url)
        except httpx.InvalidURL:
            parsed = httpx.URL("")
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise NotConfigured(
                "not_configured",
                f"REGISTA_URL is not a URL: {url!r}",
                advice="Write it with the scheme, for example https://registry.example.com.",
            )
        return url

    def _discovered(self, service: str) -> str:
        if service not in self._urls:
            raise Unavailable(
                "service_unknown",
                f"the registry at {self._registry()} lists no URL for the service {service!r}",
            )
        return self._urls[service]

    async def call(
        self,
        method: str,
        service: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        if_match: str = "",
        idempotency_key: str = "",
        long: bool = False,
    ) -> Answer:
        """Send a request to `/v1<path>` of a service, JSON in and out. Raises RegistaError.

        `long`: the request may take minutes.
        """
        url = f"{await self.url_of(service)}/v1{path}"
        headers = {"If-Match": if_match} if if_match else {}
        if method != "GET":
            headers["Idempotency-Key"] = idempotency_key or str(uuid.uuid4())
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        params = {k: _text(v) for k, v in (query or {}).items() if v is not None}
        timeout = httpx.Timeout(LONG_SECONDS if long else READ_SECONDS, connect=CONNECT_SECONDS)
        send = functools.partial(
            self._client().request,
            method,
            url,
            params=params,
            content=content,
            headers=headers,
            timeout=timeout,
        )
        got = await self._with_retries(url, send, LONG_SECONDS if long else 0.0)
        return Answer(got.status_code, _json(got), got.headers.get("etag", ""), got.headers)

    async def upload(
        self, service: str, path: str, query: Mapping[str, Any], content: Content, size: int
    ) -> Answer:
        """Send a body of `size` bytes; `content` is called at each attempt for a new stream.

        Raises RegistaError.
        """
        url = f"{await self.url_of(service)}/v1{path}"
        headers = {
            "Content-Type": "application/octet-stream",
            "Content-Length": str(size),
            "Idempotency-Key": str(uuid.uuid4()),
        }
        params = {k: _text(v) for k, v in query.items() if v is not None}
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=STORE_SECONDS)
        limit = STORE_SECONDS + size / SLOWEST
        got = await self._with_retries(
            url,
            lambda: self._client().post(
                url, params=params, content=content(), headers=headers, timeout=timeout
            ),
            limit,
        )
        return Answer(got.status_code, _json(got), got.headers.get("etag", ""), got.headers)

    @asynccontextmanager
    async def download(
        self, service: str, path: str, headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[httpx.Response]:
        """Return a response whose body the caller streams, as the service sends it.

        Raises RegistaError; a stream that breaks off raises httpx.TransportError.
        """
        url = f"{await self.url_of(service)}/v1{path}"
        sent = {"Accept-Encoding": "identity"} | dict(headers or {})
        request = self._client().build_request("GET", url, headers=sent)
        got = await self._with_retries(url, lambda: self._client().send(request, stream=True))
        try:
            yield got
        finally:
            await got.aclose()

    async def _with_retries(
        self, url: str, send: Callable[[], Awaitable[httpx.Response]], seconds: float = 0.0
    ) -> httpx.Response:
        """Repeat a request that may succeed later.

        `seconds` is the limit of all attempts (0: the total of the patience). With a longer limit the
        patience begins at a failure, and again at a failure after an attempt that lasted longer than it.
        """
        failures = Failures(self.patience, from_start=not seconds)
        limit = seconds or self.patience.total
        try:
            async with asyncio.timeout(limit):
                while True:
                    began = time.monotonic()
                    try:
                        got = await send()
                    except httpx.TransportError as e:
                        await failures.wait(_unreachable(e), began)
                        continue
                    if got.is_success:
                        return got
                    await got.aread()
                    if got.status_code not in BUSY:
                        raise _error(got)
                    await failures.wait(_error(got), began, got.headers.get("retry-after"))
        except TimeoutError:
            raise failures.last or Unavailable(
                "unreachable", f"{url} gave no answer in {limit:.0f} s"
            ) from None


class Failures:
    """The failed attempts of one request, and the pauses between them."""

    def __init__(self, patience: Patience, *, from_start: bool = False) -> None:
        self._patience = patience
        self._since = time.monotonic() if from_start else None
        self._count = 0
        self.last: RegistaError | None = None

    def progressed(self) -> None:
        """Start the patience again: the attempt that just failed had a part of its effect."""
        self._since, self._count = None, 0

    async def wait(self, error: RegistaError, began: float, retry_after: str | None = None) -> None:
        """Pause before the next attempt, after the one that began at `began`. Raise `error` at the end."""
        now, self.last = time.monotonic(), error
        if self._since is None or now - began > self._patience.total:
            self._since = now
        pause = self._patience.pause(self._count, retry_after)
        self._count += 1
        if self._count == self._patience.attempts or now + pause - self._since > self._patience.total:
            if not error.status:  # the detail is the client's own
                error.append(f" in {self._count} attempts, for {now - self._since:.0f} s")
            raise error
        await asyncio.sleep(pause)


def _unreachable(e: httpx.TransportError) -> Unavailable:
    return Unavailable("unreachable", f"{_where(e)} did not answer ({type(e).__name__})")


@functools.cache
def _trust() -> ssl.SSLContext:
    """Return the certificate authorities of this machine (or `SSL_CERT_FILE`).

    They are read once: each client of httpx would need 80 ms for it.
    """
    return ssl.create_default_context()


def _services(answer: httpx.Response) -> dict[str, str]:
    found = _json(answer)
    services = found.get("services", found) if isinstance(found, dict) else {}
    return {name: str(url).rstrip("/") for name, url in services.items()}


def _where(error: httpx.HTTPError) -> str:
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
        raise Unavailable(
            "not_regista",
            f"{got.request.url} did not answer JSON: is this the registry's URL?",
        ) from e


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
