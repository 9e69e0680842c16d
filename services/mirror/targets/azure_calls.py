"""Calls of Azure Resource Manager for a target: one workspace, with the errors of a target."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from typing import Any

import httpx
from azure.core.credentials_async import AsyncTokenCredential
from azure.core.exceptions import AzureError

from regista.wire.azure_ml import API_VERSION, Workspace
from services.mirror.targets.base import Refused, Unavailable
from services.mirror.targets.retry_after import seconds

SECONDS, CONNECT_SECONDS = 60.0, 10.0
RENEW = "Renew the credentials or roles of the mirror; it reads them again at its next attempt."
_LATER = frozenset({408, 409, 425, 429})
_SHOWN = 300


class Denied(Unavailable):
    """The credentials have no right to this."""


class ResourceManager:
    """The resources of one workspace. No other host gets the token."""

    def __init__(
        self, workspace: Workspace, credential: AsyncTokenCredential, context: ssl.SSLContext
    ) -> None:
        self.workspace = workspace
        self._credential = credential
        self._url = workspace.arm + workspace.path
        self._http = httpx.AsyncClient(
            params={"api-version": API_VERSION},
            timeout=httpx.Timeout(SECONDS, connect=CONNECT_SECONDS),
            headers={"user-agent": "regista-mirror"},
            follow_redirects=False,
            trust_env=False,
            verify=context,
        )

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    async def get(self, below: str, query: Mapping[str, str] | None = None) -> dict[str, Any] | None:
        """Return a resource, None when there is none. Raises Refused and Unavailable."""
        return await self._call("GET", below, params=query)

    async def put(self, below: str, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Create or replace a resource. Raises Refused and Unavailable."""
        found = await self._call("PUT", below, json={"properties": properties})
        if found is None:
            raise Refused(f"Azure ML has no place for {below}: check `workspace` in the target's settings.")
        return found

    async def secrets(self, datastore: str) -> dict[str, Any]:
        """Return the key or the signature of a datastore. Raises Denied, Refused and Unavailable."""
        return await self._call("POST", f"{datastore}/listSecrets") or {}

    async def _call(self, method: str, below: str, **more: Any) -> dict[str, Any] | None:
        try:
            headers = {"authorization": f"Bearer {await self._token()}"}
            got = await self._http.request(method, self._url + below, headers=headers, **more)
        except httpx.TransportError as e:
            raise Unavailable(f"Azure Resource Manager does not answer ({type(e).__name__}).") from e
        if got.status_code == httpx.codes.NOT_FOUND:
            return None
        if not got.is_success:
            raise _error(got, f"Azure answers {got.status_code} to {method} {below[:200]}: {_problem(got)}")
        try:
            found = got.json()
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise Unavailable("Azure's answer is no JSON: is `arm` the address of Azure Resource Manager?")
        return found

    async def _token(self) -> str:
        """Return a token. The credential keeps it until it expires."""
        try:
            async with asyncio.timeout(SECONDS):
                return (await self._credential.get_token(f"{self.workspace.arm}/.default")).token
        except TimeoutError as e:
            raise Unavailable(f"Azure gives no token within {SECONDS:.0f} seconds.") from e
        except (AzureError, ValueError) as e:
            raise Unavailable(f"Azure gives no token: {brief(e)}. {RENEW}") from e


def brief(error: Exception) -> str:
    """Return the beginning of an error of Azure's clients."""
    return " ".join(str(error).split())[:_SHOWN] or type(error).__name__


def _problem(got: httpx.Response) -> str:
    try:
        error = got.json()["error"]
        return " ".join(f"{error['code']}: {error.get('message', '')}".split())[:_SHOWN]
    except (ValueError, KeyError, TypeError):
        return got.reason_phrase


def _error(got: httpx.Response, text: str) -> Exception:
    if got.status_code in {401, 403}:
        return Denied(f"{text}. {RENEW}")
    if got.status_code in _LATER or got.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Unavailable(text, seconds(got.headers))
    return Refused(text)
