"""Send requests to the other services in the caller's name. This service has no key of its own."""

from __future__ import annotations

import asyncio
import ssl
import uuid
from collections.abc import AsyncIterator, Mapping
from typing import Any

import httpx
import msgspec

from services.mlflow.errors import MlflowError, Problem, invalid
from services.mlflow.settings import NEEDED, MlflowSettings

BUSY = frozenset({502, 503, 504})
WAITS = (0.1, 0.3, 1.0, 2.0)
"""Seconds before each repetition of a request that was not answered. It has the same Idempotency-Key."""
CONNECT_SECONDS = 5.0
STORE_SECONDS = 900.0
"""From the last byte of an upload until the artifact service has stored it."""
_UNSENT = (httpx.InvalidURL, UnicodeEncodeError)
"""What httpx raises for a URL or a header that no request has. It is no TransportError."""


class Upstream:
    """The other services, over one pool of connections."""

    def __init__(self, settings: MlflowSettings) -> None:
        self._urls = {name: settings.public_urls[name].rstrip("/") for name in NEEDED}
        self._http = httpx.AsyncClient(
            timeout=httpx.Timeout(settings.mlflow_seconds, connect=CONNECT_SECONDS, pool=CONNECT_SECONDS),
            limits=httpx.Limits(max_connections=200, max_keepalive_connections=50),
            headers={"user-agent": "regista-mlflow"},
            follow_redirects=False,
            trust_env=False,
            verify=ssl.create_default_context(),
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._http.aclose()

    async def is_ready(self, service: str) -> bool:
        """Return whether the service answers that it is ready."""
        try:
            return (await self._http.get(self._urls[service] + "/readyz", timeout=5.0)).status_code == 200
        except httpx.TransportError:
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
        url = f"{self._urls[service]}/v1{path}"
        for wait in (*WAITS, None):
            try:
                got = await self._http.request(method, url, content=content, headers=headers, params=query)
            except _UNSENT as wrong:
                raise _unsent(wrong) from wrong
            except httpx.TransportError as error:
                if wait is None:
                    raise _unavailable(service, type(error).__name__) from error
            else:
                if got.status_code not in BUSY or wait is None:
                    return _answer(got)
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
            got = await self._http.post(url, content=content, headers=headers, params=query, timeout=timeout)
        except _UNSENT as wrong:
            raise _unsent(wrong) from wrong
        except httpx.TransportError as error:
            raise _unavailable("artifact", type(error).__name__) from error
        return _answer(got)

    async def download(self, key: str, path: str, headers: Mapping[str, str]) -> httpx.Response:
        """Return an answer whose body the caller reads and closes. Raises Problem and MlflowError."""
        sent = {"authorization": f"Bearer {key}", "accept-encoding": "identity", **headers}
        try:
            request = self._http.build_request("GET", f"{self._urls['artifact']}/v1{path}", headers=sent)
            got = await self._http.send(request, stream=True)
        except _UNSENT as wrong:
            raise _unsent(wrong) from wrong
        except httpx.TransportError as error:
            raise _unavailable("artifact", type(error).__name__) from error
        if not got.is_success and got.status_code != 304:
            await got.aread()
            await got.aclose()
            _answer(got)
        return got


def _unavailable(service: str, why: str) -> MlflowError:
    return MlflowError("TEMPORARILY_UNAVAILABLE", f"The service {service} does not answer ({why}): repeat.")


def _unsent(wrong: Exception) -> MlflowError:
    return invalid(
        f"A name, path or header of the request cannot be passed on ({wrong}): shorten or correct it."
    )


def _answer(got: httpx.Response) -> Any:
    try:
        document = msgspec.json.decode(got.content) if got.content else None
    except msgspec.MsgspecError:
        document = None
    if got.is_success:
        return document
    raise Problem(got.status_code, document if isinstance(document, dict) else {})
