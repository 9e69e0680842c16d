"""Call the services over HTTP as the person who is signed in, never with rights of the console's own."""

from __future__ import annotations

import functools
import ssl
import uuid
from collections.abc import AsyncIterator, Awaitable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from urllib.parse import quote

import httpx
import msgspec

from regista.errors import RegistaError, Unavailable, from_problem

CONNECT_SECONDS, READ_SECONDS = 3.0, 20.0
LIMITS = httpx.Limits(max_connections=200, max_keepalive_connections=50)
SIGN_IN_NEEDED = "sign_in_needed"
"""The code of a 401 for a token that shows what the log does not have yet."""
BY_SCRIPT = "x-live"
"""The header of a request to the console that no person made: a page that reads itself again."""
T = TypeVar("T")


def segment(text: object) -> str:
    """Return the text as one segment of a path."""
    return quote(str(text), safe="")


def model_path(model: str, *more: object) -> str:
    """Return the path of a model at the registry, and of what is below it."""
    return "/models/" + "/".join(map(segment, (model, *more)))


@dataclass(frozen=True, slots=True)
class Part(Generic[T]):
    """A part of a page: its value, or the error that explains why it is missing."""

    value: T | None
    error: RegistaError | None = None


class Calls:
    """Requests to the services with the credential of one person. Every failure is a RegistaError."""

    def __init__(self, http: httpx.AsyncClient, urls: Mapping[str, str], credential: str = "") -> None:
        self._http, self._urls, self._credential = http, urls, credential

    async def get(self, service: str, path: str, **query: Any) -> Any:
        """Return the JSON of `GET /v1<path>`; parameters that are None or "" are left out."""
        return await self._json(service, "GET", path, query=query)

    async def send(
        self,
        method: str,
        service: str,
        path: str,
        body: Any = None,
        *,
        revision: int | None = None,
        any_revision: bool = True,
        key: str = "",
        query: Mapping[str, Any] | None = None,
    ) -> Any:
        """Send a change and return the JSON of the answer. Two requests with one `key` have one effect.

        With a `revision` the change is refused when its object has another one by now; 0 is any, or with
        `any_revision=False` an object that does not exist yet.
        """
        headers = {"Idempotency-Key": key or str(uuid.uuid4())}
        if revision is not None:
            headers["If-Match"] = "*" if any_revision and not revision else f'"{revision}"'
        return await self._json(service, method, path, query=query, body=body, headers=headers)

    async def ready(self, service: str) -> tuple[bool, str]:
        """Return whether a service is ready, and its reasons when it is not."""
        try:
            answer = await self._http.get(f"{self._url(service)}/readyz", timeout=3.0)
            reasons = answer.json().get("reasons", {})
        except (httpx.HTTPError, ValueError, AttributeError, Unavailable) as error:
            return False, f"it does not answer ({type(error).__name__})"
        shown = reasons if isinstance(reasons, dict) else {}
        return answer.status_code == 200, "; ".join(f"{part}: {why}" for part, why in shown.items())

    async def metrics(self, service: str) -> str:
        """Return the metrics of a replica of the service, which every reader of its address may read.

        Raises Unavailable.
        """
        try:
            answer = await self._http.get(f"{self._url(service)}/metrics", timeout=3.0)
        except httpx.TransportError as error:
            raise _unreachable(service, error) from error
        if not answer.is_success:
            raise Unavailable("no_metrics", f"{service} shows no metrics at its public address.")
        return answer.text

    @asynccontextmanager
    async def stream(self, service: str, path: str, **query: Any) -> AsyncIterator[httpx.Response]:
        """Return the response of a GET whose body the caller reads while it arrives."""
        request = self._http.build_request(
            "GET",
            f"{self._url(service)}/v1{path}",
            params=_params(query),
            headers=self._authorization(),
            timeout=httpx.Timeout(READ_SECONDS, read=None),
        )
        try:
            answer = await self._http.send(request, stream=True)
        except httpx.TransportError as error:
            raise _unreachable(service, error) from error
        try:
            if not answer.is_success:
                await answer.aread()
                raise _problem(answer)
            yield answer
        finally:
            await answer.aclose()

    async def _json(
        self,
        service: str,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: Any = None,
        headers: Mapping[str, str] | None = None,
    ) -> Any:
        sent = {**self._authorization(), **(headers or {})}
        content = None
        if body is not None:
            content, sent["Content-Type"] = msgspec.json.encode(body), "application/json"
        request = functools.partial(
            self._request, service, method, path, params=_params(query or {}), content=content, headers=sent
        )
        answer = await request()
        if answer.status_code == 401 and _problem(answer).code == SIGN_IN_NEEDED and self._credential:
            await self.record_sign_in()
            answer = await request()
        if not answer.is_success:
            raise _problem(answer)
        return msgspec.json.decode(answer.content) if answer.content else None

    async def record_sign_in(self) -> Any:
        """Let the registry record what the token shows, and return who the person is. Raises RegistaError."""
        answer = await self._request("registry", "POST", "/sign-ins", headers=self._authorization())
        if not answer.is_success:
            raise _problem(answer)
        return msgspec.json.decode(answer.content)

    async def _request(self, service: str, method: str, path: str, **more: Any) -> httpx.Response:
        try:
            return await self._http.request(method, f"{self._url(service)}/v1{path}", **more)
        except httpx.TransportError as error:
            raise _unreachable(service, error) from error

    def _url(self, service: str) -> str:
        try:
            return self._urls[service].rstrip("/")
        except KeyError:
            raise Unavailable(
                "service_unknown", f"the console has no address of the service {service}"
            ) from None

    def _authorization(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self._credential}"} if self._credential else {}


def client() -> httpx.AsyncClient:
    """Return the connection pool of the process. It follows no redirects and reads no proxy settings.

    It trusts the certificates of the system, and those of SSL_CERT_FILE.
    """
    return httpx.AsyncClient(
        timeout=httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS),
        limits=LIMITS,
        trust_env=False,
        verify=ssl.create_default_context(),
        headers={"User-Agent": "regista-console"},
    )


async def part(wanted: Awaitable[T]) -> Part[T]:
    """Return a part of a page that may be missing: other parts are shown without it."""
    try:
        return Part(await wanted)
    except RegistaError as error:
        if error.status == 401:
            raise
        return Part(None, error)


def _params(query: Mapping[str, Any]) -> dict[str, str | list[str]]:
    return {
        name: [str(one) for one in value] if isinstance(value, list | tuple) else _text(value)
        for name, value in query.items()
        if value is not None and value not in ("", [])
    }


def _text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _unreachable(service: str, error: httpx.TransportError) -> Unavailable:
    missing = Unavailable("unreachable", f"The service {service} does not answer ({type(error).__name__}).")
    missing.status = 503
    return missing


def _problem(answer: httpx.Response) -> RegistaError:
    try:
        problem = msgspec.json.decode(answer.content)
    except (msgspec.MsgspecError, UnicodeDecodeError):
        problem = {}
    return from_problem(answer.status_code, problem if isinstance(problem, dict) else {})
