"""Send requests to the other services in the caller's name. This service has no key of its own."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any
from urllib.parse import urlencode

import aiohttp
import httpx
import msgspec
from yarl import URL

from services.mlflow.errors import MlflowError, Problem, invalid
from services.mlflow.settings import NEEDED, MlflowSettings

BUSY = frozenset({502, 503, 504})
WAITS = (0.1, 0.3, 1.0, 2.0)
"""Seconds before each repetition of a request that was not answered. It has the same Idempotency-Key."""
CONNECT_SECONDS = 5.0
READY_TIMEOUT = aiohttp.ClientTimeout(total=CONNECT_SECONDS)
STORE_SECONDS = 900.0
"""From the last byte of an upload until the artifact service has stored it."""
CONNECTIONS = 200
"""Most connections of each of the two clients."""
KEPT_SECONDS = 60.0
"""How long an idle connection is kept: the services close it after 75 s (shared/http/server.py)."""
LONGEST_URL = 60_000
"""Characters of a URL. The services read heads of 64 KiB."""
_AGENT = {"user-agent": "regista-mlflow"}
_UNSENT = (httpx.InvalidURL, UnicodeEncodeError)
"""What httpx raises for a URL or a header that no request has. It is no TransportError."""


class Upstream:
    """The other services. It is created in a running event loop.

    JSON calls go through aiohttp: one costs a tenth of the processor time that httpx takes. Files go through
    httpx, which reads an answer that comes before all of the body is sent.
    """

    def __init__(self, settings: MlflowSettings) -> None:
        self._urls = {name: settings.public_urls[name].rstrip("/") for name in NEEDED}
        trusted = ssl.create_default_context()
        self._calls = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=CONNECTIONS, keepalive_timeout=KEPT_SECONDS, ssl=trusted),
            timeout=aiohttp.ClientTimeout(
                total=None,
                connect=CONNECT_SECONDS,
                sock_connect=CONNECT_SECONDS,
                sock_read=settings.mlflow_seconds,
            ),
            headers=_AGENT,
            skip_auto_headers=("Accept", "Accept-Encoding", "Content-Type"),
            cookie_jar=aiohttp.DummyCookieJar(),
            auto_decompress=False,
        )
        self._files = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.mlflow_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=50),
            headers=_AGENT,
            follow_redirects=False,
            trust_env=False,
            verify=trusted,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._calls.close()
        await self._files.aclose()

    async def is_ready(self, service: str) -> bool:
        """Return whether the service answers that it is ready."""
        try:
            async with self._calls.get(
                f"{self._urls[service]}/readyz", allow_redirects=False, timeout=READY_TIMEOUT
            ) as got:
                return got.status == 200
        except (aiohttp.ClientError, TimeoutError):
            return False

    async def call(
        self,
        key: str,
        method: str,
        path: str,
        body: object = None,
        *,
        service: str = "registry",
        query: Mapping[str, str] | None = None,
        idempotency_key: str = "",
        if_match: str = "",
    ) -> Any:
        """Return the JSON of a successful answer. Raises Problem, and MlflowError when none arrives."""
        headers = {"authorization": f"Bearer {key}"}
        if method != "GET":
            headers["idempotency-key"] = idempotency_key or str(uuid.uuid4())
        if if_match:
            headers["if-match"] = if_match
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["content-type"] = "application/json"
        url = _url(f"{self._urls[service]}/v1{path}", query)
        for wait in (*WAITS, None):
            try:
                async with self._calls.request(
                    method, url, data=content, headers=headers, allow_redirects=False
                ) as got:
                    status, answer = got.status, await got.read()
            except (aiohttp.ClientError, TimeoutError) as error:
                if wait is None:
                    raise _unavailable(service, type(error).__name__) from error
            else:
                if status not in BUSY or wait is None:
                    return _answer(status, answer)
            await asyncio.sleep(wait)
        raise _unavailable(service, "no answer")  # the last attempt has returned or raised

    async def upload(
        self, key: str, query: Mapping[str, str], content: AsyncIterator[bytes], size: str
    ) -> Any:
        """Store a file. It is sent once: its bytes are not kept here. Raises Problem and MlflowError."""
        headers = {
            "authorization": f"Bearer {key}",
            "content-type": "application/octet-stream",
            "idempotency-key": str(uuid.uuid4()),
        }
        if size:
            headers["content-length"] = size
        url = self._urls["artifact"] + "/v1/uploads"
        timeout = httpx.Timeout(60.0, connect=CONNECT_SECONDS, read=STORE_SECONDS)
        try:
            got = await self._files.post(url, content=content, headers=headers, params=query, timeout=timeout)
        except _UNSENT as wrong:
            raise _unsent(wrong) from wrong
        except httpx.TransportError as error:
            raise _unavailable("artifact", type(error).__name__) from error
        return _answer(got.status_code, got.content)

    async def download(self, key: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """Return an answer whose body the caller reads and closes. Raises Problem and MlflowError."""
        sent = {"authorization": f"Bearer {key}", "accept-encoding": "identity", **headers}
        try:
            request = self._files.build_request("GET", f"{self._urls['artifact']}/v1{path}", headers=sent)
            got = await self._files.send(request, stream=True)
        except _UNSENT as wrong:
            raise _unsent(wrong) from wrong
        except httpx.TransportError as error:
            raise _unavailable("artifact", type(error).__name__) from error
        if not got.is_success and got.status_code != 304:
            await got.aread()
            await got.aclose()
            _answer(got.status_code, got.content)
        return got


def _unavailable(service: str, why: str) -> MlflowError:
    return MlflowError("TEMPORARILY_UNAVAILABLE", f"The service {service} does not answer ({why}): repeat.")


def _unsent(wrong: object) -> MlflowError:
    return invalid(
        f"A name, path or header of the request cannot be passed on ({wrong}): shorten or correct it."
    )


def _url(address: str, query: Mapping[str, str] | None) -> URL:
    """Return a URL whose parts are escaped already. Raises MlflowError for one that is too long."""
    text = f"{address}?{urlencode(query)}" if query else address
    if len(text) > LONGEST_URL:
        raise _unsent("the address is too long")
    return URL(text, encoded=True)


def _answer(status: int, content: bytes) -> Any:
    try:
        document = msgspec.json.decode(content) if content else None
    except msgspec.MsgspecError:
        document = None
    if 200 <= status < 300:
        return document
    raise Problem(status, document if isinstance(document, dict) else {})
