"""Read a workspace of Azure ML by Azure Resource Manager: models, versions, jobs and datastores."""

from __future__ import annotations

import asyncio
import logging
import os
import re
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

import httpx

from regista.client.trust import trusted
from regista.errors import Invalid, NotConfigured, NotFound, Unauthorized
from regista.importing.requests import CONNECT_SECONDS, READ_SECONDS, SHOWN, Requests, Waits
from regista.wire.azure_ml import API_VERSION, ARM, Workspace, is_arm, is_name, parts_of

CREDENTIALS = (
    "Sign in again (`az login`), or set AZURE_CLIENT_ID, AZURE_TENANT_ID and AZURE_CLIENT_SECRET to what is "
    "valid now, and run the command again: it continues where it stopped."
)
ADDRESS = "Check --workspace, --subscription, --resource-group and --arm."
MISSING = "Install it: pip install 'regista[azureml]'."
TRACKING = re.compile(r"[a-z0-9-]+\.(?:api|experiments)\.(?:azureml\.ms|azureml\.net|ml\.azure\.(?:cn|us))")
"""Hosts of Azure ML's tracking, which get a token of the caller."""


def read_workspace(
    name: str,
    subscription: str = "",
    group: str = "",
    *,
    arm: str = "",
    blobs: str = "",
    environment: Mapping[str, str] | None = None,
) -> Workspace:
    """Return the workspace of `--workspace`, a name or a whole resource id. Raises Invalid."""
    variables = os.environ if environment is None else environment
    if whole := parts_of(name):
        subscription, group, name = whole
    subscription = subscription or variables.get("AZURE_SUBSCRIPTION_ID", "")
    group = group or variables.get("AZURE_RESOURCE_GROUP", "")
    given = {"--workspace": name, "--subscription": subscription, "--resource-group": group}
    for option, value in given.items():
        if not is_name(value):
            detail = f"{option} is {value!r:.100}" if value else f"{option} is missing"
            advice = (
                "State --subscription, --resource-group and --workspace, or the resource id of the workspace "
                "as --workspace: /subscriptions/…/workspaces/NAME."
            )
            raise Invalid("invalid_source", detail, advice=advice)
    if not is_arm(arm or ARM):
        detail = f"--arm is {arm.rsplit('@', maxsplit=1)[-1]!r:.120}"
        raise Invalid("invalid_source", detail, advice=f"Write it as {ARM}: a token is sent to it.")
    if blobs and urlsplit(blobs).scheme not in {"http", "https"}:
        advice = "Write it as https://{account}.blob.core.windows.net."
        raise Invalid("invalid_source", f"--blobs is {blobs!r:.120}", advice=advice)
    return Workspace(subscription, group, name, (arm or ARM).rstrip("/"), blobs.rstrip("/"))


def default_credential() -> Any:
    """Return the credential that Azure's own tools would use. Raises NotConfigured without azure-identity."""
    try:
        from azure.identity import DefaultAzureCredential  # noqa: PLC0415 - the extra `azureml`
    except ImportError:
        detail = "the package azure-identity is not installed"
        raise NotConfigured("azure_missing", detail, advice=MISSING) from None
    logging.getLogger("azure.identity").setLevel(logging.ERROR)  # it warns of each kind that is not there
    return DefaultAzureCredential()


class Token(httpx.Auth):
    """A bearer token, renewed by its credential before it expires."""

    def __init__(self, credential: Any, scope: str) -> None:
        self._credential = credential
        self._scope = scope

    async def async_auth_flow(self, request: httpx.Request) -> AsyncGenerator[httpx.Request, httpx.Response]:
        """Add the token. Raises Unauthorized when there is none."""
        request.headers["Authorization"] = f"Bearer {await asyncio.to_thread(self._token)}"
        yield request

    def _token(self) -> str:
        from azure.core.exceptions import AzureError  # noqa: PLC0415 - the extra `azureml`

        try:
            return str(self._credential.get_token(self._scope).token)
        except AzureError as e:
            raise no_token(e) from None


def no_token(error: Exception) -> Unauthorized:
    """Return the error for a credential that gives no token."""
    why = " ".join(str(error).split())[:SHOWN]
    return Unauthorized("source_unauthorized", f"Azure gives no token: {why}", advice=CREDENTIALS)


class AzureMlServer:
    """The models of one workspace. Nothing is changed."""

    def __init__(self, workspace: Workspace, credential: Any, waits: Waits | None = None) -> None:
        self.workspace = workspace
        scope = f"{workspace.arm}/.default"
        context = trusted(os.environ.get("REQUESTS_CA_BUNDLE", ""))
        timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
        self._client = httpx.AsyncClient(
            headers={"User-Agent": "regista-import"},
            auth=Token(credential, scope),
            verify=context,
            timeout=timeout,
        )
        self._waits = waits
        self.requests = self._to(workspace.arm)
        self._tracking: Requests | None = None

    def _to(self, base: str) -> Requests:
        return Requests(base, "Azure ML", self._client, CREDENTIALS, self._waits, ADDRESS)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def facts(self) -> dict[str, Any]:
        """Return the workspace."""
        return await self._get("")

    def models(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the models, archived ones too."""
        return self._all("/models")

    async def versions(self, model: str) -> list[dict[str, Any]]:
        """Return the versions of a model, archived ones too, the oldest first."""
        found = [one async for one in self._all(f"/models/{quote(model, safe='')}/versions")]
        return sorted(found, key=lambda one: _place(str(one.get("name") or "")))

    async def job(self, name: str) -> dict[str, Any] | None:
        """Return a job, None when it is deleted."""
        try:
            return await self._get(f"/jobs/{quote(name, safe='')}")
        except NotFound:
            return None

    async def datastore(self, name: str) -> dict[str, Any]:
        """Return the properties of a datastore."""
        found = (await self._get(f"/datastores/{quote(name, safe='')}")).get("properties")
        return found if isinstance(found, dict) else {}

    async def secrets(self, datastore: str) -> dict[str, Any]:
        """Return the key or the signature of a datastore, which the workspace keeps."""
        return await self._get(f"/datastores/{quote(datastore, safe='')}/listSecrets", method="POST")

    async def run(self, name: str) -> dict[str, Any] | None:
        """Return the run of a job, as the workspace's MLflow tracking has it; None when it has none.

        Raises RegistaError when the tracking does not answer.
        """
        if self._tracking is None:
            stated = str((await self.facts()).get("properties", {}).get("mlFlowTrackingUri") or "")
            self._tracking = self._to(self._tracking_address(stated))
        try:
            found = (await self._tracking.get("/api/2.0/mlflow/runs/get", {"run_id": name})).get("run")
        except NotFound:
            return None
        return found if isinstance(found, dict) else None

    def _tracking_address(self, uri: str) -> str:
        """Return the address of the tracking. Only Azure's own hosts, and that of `--arm`, get a token."""
        parts = urlsplit(uri)
        own = parts.netloc == urlsplit(self.workspace.arm).netloc
        if parts.scheme not in {"azureml", "https"} or not (own or TRACKING.fullmatch(parts.netloc)):
            detail = f"the workspace's mlFlowTrackingUri is {uri!r:.200}"
            raise Invalid("source_answer", detail, advice=ADDRESS)
        return f"https://{parts.netloc}{parts.path.rstrip('/')}"

    async def _get(self, below: str, method: str = "GET") -> dict[str, Any]:
        path = self.workspace.path + below
        return await self.requests.get(path, {"api-version": API_VERSION}, method)

    async def _all(self, below: str) -> AsyncIterator[dict[str, Any]]:
        """Yield the entries of all pages. The address of the next page has to be on the same host."""
        path, query = self.workspace.path + below, {"api-version": API_VERSION, "listViewType": "All"}
        seen = set[str]()
        while True:
            page = await self.requests.get(path, query)
            for entry in page.get("value") or ():
                yield entry
            following = str(page.get("nextLink") or "")
            if not following:
                return
            parts = urlsplit(following)
            here = urlsplit(self.workspace.arm)
            at = (parts.scheme, parts.hostname, parts.port or 443)
            if at != (here.scheme, here.hostname, here.port or 443) or following in seen:
                detail = f"the next page of {below} is at {following!r:.200}"
                raise Invalid("source_answer", detail, advice=ADDRESS)
            seen.add(following)
            path, query = parts.path, dict(parse_qsl(parts.query, keep_blank_values=True))


def _place(number: str) -> tuple[int, int, str]:
    """Return what sorts versions: numbers first, by their value."""
    return (0, int(number), "") if number.isascii() and number.isdecimal() else (1, 0, number)
