"""Send HTTP requests to the services: discovery, authentication, safe retries, problems as exceptions."""

from __future__ import annotations

import asyncio
import functools
import time
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

import httpx
import msgspec

from regista.client.credentials import Credentials
from regista.client.patience import Failures, Patience, chosen, reported
from regista.client.profile import Profile
from regista.client.trust import certificate_error, not_trusted, trusted
from regista.errors import NotConfigured, RegistaError, Unavailable, from_problem

BUSY = frozenset({408, 429, 502, 503, 504})
CONNECT_SECONDS = 5.0
READ_SECONDS = 40.0  # one attempt; a service ends its own work earlier
NOT_OF_REGISTA = frozenset(range(300, 500)) - BUSY - {413}
"""Refusals that have Regista's code when a service wrote them. The others mean the same from any server."""
LONG_SECONDS = 600.0  # a request that reads the whole log or all models
STORE_SECONDS = 900.0  # from the last byte of an upload until the service has stored it
SLOWEST = 100_000  # bytes per second; a slower upload fails
WELL_KNOWN = "/.well-known/regista"
SIGN_INS = "/v1/sign-ins"
SIGN_IN_NEEDED = "sign_in_needed"
"""The code of a service that has not seen this person, or these groups, yet."""
Content = Callable[[], AsyncIterator[bytes]]


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
        self.credentials = Credentials(profile)
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
                headers={"User-Agent": "regista-python"},
                event_hooks={"request": [self.credentials.add_to]},
                timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
                verify=trusted(self._profile.ca_file),
            )
        return self._http

    async def url_of(self, service: str) -> str:
        """Return the base URL of a service; the registry's /.well-known/regista names the others'.

        Raises Unavailable.
        """
        registry = self._registry()
        if service == "registry":
            return registry
        if not self._urls:
            send = lambda: self._client().get(registry + WELL_KNOWN)  # noqa: E731
            self._urls = _services(await self._with_retries("registry", registry, send))
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
        params = _params(query or {})
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
        got = await self._with_retries(service, url, send, LONG_SECONDS if long else 0.0)
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
        params = _params(query)
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS, read=STORE_SECONDS)
        limit = STORE_SECONDS + size / SLOWEST
        got = await self._with_retries(
            service,
            url,
            lambda: self._client().post(
                url, params=params, content=content(), headers=headers, timeout=timeout
            ),
            limit,
        )
        return Answer(got.status_code, _json(got), got.headers.get("etag", ""), got.headers)

    @asynccontextmanager
    async def download(
        self,
        service: str,
        path: str,
        headers: Mapping[str, str] | None = None,
        query: Mapping[str, Any] | None = None,
    ) -> AsyncIterator[httpx.Response]:
        """Return a response whose body the caller streams, as the service sends it.

        Raises RegistaError; a stream that breaks off raises httpx.TransportError.
        """
        url = f"{await self.url_of(service)}/v1{path}"
        sent = {"Accept-Encoding": "identity"} | dict(headers or {})
        params = {k: _text(v) for k, v in (query or {}).items() if v is not None}
        request = self._client().build_request("GET", url, params=params, headers=sent)
        got = await self._with_retries(service, url, lambda: self._client().send(request, stream=True))
        try:
            yield got
        finally:
            await got.aclose()

    async def _with_retries(
        self,
        service: str,
        url: str,
        send: Callable[[], Awaitable[httpx.Response]],
        seconds: float = 0.0,
        *,
        signed_in: bool = False,
    ) -> httpx.Response:
        """Repeat a request that may succeed later.

        `seconds` is the limit of all attempts (0: the total of the patience). With a longer limit the
        patience begins at a failure, and again at a failure after an attempt that lasted longer than it. The
        error names the service, its address, and the last thing that it answered, if anything.
        """
        waits = chosen(self.patience)
        failures = Failures(waits, from_start=not seconds)
        limit = seconds or waits.total
        where = f"the {'registry' if service == 'registry' else f'service {service}'} at {_address(url)}"
        try:
            with reported(where, limit, failures, waits.silent, slow=bool(seconds)):
                async with asyncio.timeout(limit):
                    return await self._until_success(where, send, failures, signed_in=signed_in)
        except TimeoutError:
            raise failures.last or Unavailable(
                "unreachable", f"{where} did not answer within {limit:g} s"
            ) from None

    async def _until_success(
        self,
        where: str,
        send: Callable[[], Awaitable[httpx.Response]],
        failures: Failures,
        *,
        signed_in: bool,
    ) -> httpx.Response:
        """Send the request until it succeeds. Raises what does not pass, and what lasts for too long."""
        while True:
            began = time.monotonic()
            try:
                got = await send()
            except httpx.TransportError as e:
                if untrusted := certificate_error(e):
                    raise not_trusted(where, untrusted) from e
                reason = ": ".join(filter(None, (type(e).__name__, str(e))))
                detail = f"{where} did not answer ({reason})"
                await failures.wait(Unavailable("unreachable", detail), began)
                continue
            if got.is_success:
                return got
            await got.aread()
            error = _error(got)
            if error.code == SIGN_IN_NEEDED and self.credentials.of_a_person and not signed_in:
                signed_in = True
                await self._sign_in()
                continue
            if got.status_code not in BUSY and not (error.code == SIGN_IN_NEEDED and signed_in):
                raise error
            await failures.wait(error, began, got.headers.get("retry-after"))

    async def _sign_in(self) -> None:
        """Let the registry record the person and the groups of the token.

        Other services read of it in the log, a moment later.
        """
        url = f"{self._registry()}{SIGN_INS}"
        send = functools.partial(self._client().post, url, headers={"Idempotency-Key": str(uuid.uuid4())})
        await self._with_retries("registry", url, send, signed_in=True)


def _services(answer: httpx.Response) -> dict[str, str]:
    found = _json(answer)
    services = found.get("services", found) if isinstance(found, dict) else {}
    return {name: str(url).rstrip("/") for name, url in services.items()}


def _address(url: str) -> str:
    parsed = httpx.URL(url)
    return f"{parsed.scheme}://{parsed.netloc.decode()}"


def _error(got: httpx.Response) -> RegistaError:
    try:
        problem = msgspec.json.decode(got.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = {}
    if not isinstance(problem, dict) or not problem.get("code"):
        if got.status_code in NOT_OF_REGISTA:
            return _another_server(got, is_mlflow=isinstance(problem, dict) and "error_code" in problem)
        problem = {}
    return from_problem(got.status_code, problem)


def _another_server(got: httpx.Response, *, is_mlflow: bool) -> NotConfigured:
    """Return the error for a refusal that no service of Regista wrote for its clients."""
    address = _address(str(got.request.url))
    if is_mlflow:
        return NotConfigured(
            "not_regista",
            f"{address} answers as MLflow does: it is the address for MLflow's clients",
            advice="Set REGISTA_URL to the address of the registry, and MLflow's registry URI to this one.",
        )
    return NotConfigured(
        "not_regista",
        f"{address} answered {got.status_code}, and not as Regista does: "
        "another server has this address, or a proxy refused the request",
        advice="Set REGISTA_URL to the address of the registry. Where it is right, ask who runs the proxy.",
    )


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


def _params(query: Mapping[str, Any]) -> dict[str, str | list[str]]:
    """Return the parameters that are given; a list is repeated."""
    return {
        name: [*map(_text, value)] if isinstance(value, list | tuple) else _text(value)
        for name, value in query.items()
        if value is not None
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)
