"""Read an MLflow server by its REST API: models, versions, runs, and the bytes through its artifact proxy."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import httpx

from regista.client.trust import trusted
from regista.errors import Invalid, NotConfigured, NotFound
from regista.importing.files import Files, LocalFiles, Unreachable
from regista.importing.mlflow_files import API, PROXY, LoggedModelFiles, ProxiedFiles, RunFiles
from regista.importing.requests import CONNECT_SECONDS, READ_SECONDS, Requests, Waits

PAGE = 1_000
CREDENTIALS = (
    "Set MLFLOW_TRACKING_TOKEN (or MLFLOW_TRACKING_USERNAME and MLFLOW_TRACKING_PASSWORD) to what is valid "
    "now, and run the command again: it continues where it stopped."
)
_UNREACHABLE = (
    "neither the server's artifact proxy nor an artifact of its run; for a local path name the folder that "
    "may be read with --artifacts-below"
)
PROMPT = "mlflow.prompt.is_prompt"


@dataclass(frozen=True, slots=True)
class Address:
    """The address of an MLflow server, and what it wants to know of the caller.

    `uri` has no credentials in it: versions keep it.
    """

    uri: str
    username: str = field(default="", repr=False)
    password: str = field(default="", repr=False)
    token: str = field(default="", repr=False)
    ca_file: str = ""


def read_address(text: str, environment: Mapping[str, str] | None = None) -> Address:
    """Return the server's address from `--from` and MLflow's own variables.

    Raises Invalid for what is no HTTP address.
    """
    variables = os.environ if environment is None else environment
    try:
        parts = urlsplit(text.strip())
        host, port = parts.hostname or "", parts.port
    except ValueError:
        parts, host, port = urlsplit(""), "", None
    if parts.scheme not in {"http", "https"} or not host:
        raise Invalid(
            "invalid_source",
            f"{text.rsplit('@', maxsplit=1)[-1]!r:.120} is no address of an MLflow server",
            advice="Write it with the scheme, for example https://mlflow.example.com. For a database or a "
            "folder start a server first: `mlflow server --backend-store-uri …`.",
        )
    host = f"[{host}]" if ":" in host else host
    default = {"http": 80, "https": 443}[parts.scheme]
    at = f"{parts.scheme}://{host}" + (f":{port}" if port and port != default else "")
    return Address(
        at + parts.path.rstrip("/"),
        unquote(parts.username or "") or variables.get("MLFLOW_TRACKING_USERNAME", ""),
        unquote(parts.password or "") or variables.get("MLFLOW_TRACKING_PASSWORD", ""),
        variables.get("MLFLOW_TRACKING_TOKEN", ""),
        variables.get("MLFLOW_TRACKING_SERVER_CERT_PATH", ""),
    )


def _client(address: Address) -> httpx.AsyncClient:
    headers = {"User-Agent": "regista-import", "Accept-Encoding": "identity"}
    auth = None
    if address.username:
        auth = httpx.BasicAuth(address.username, address.password)
    elif address.token:
        headers["Authorization"] = f"Bearer {address.token}"
    try:
        context = trusted(address.ca_file)
    except NotConfigured as e:
        raise NotConfigured(
            "not_configured",
            e.detail.replace(
                "REGISTA_CA_FILE (`ca_file` of the profile)", "MLFLOW_TRACKING_SERVER_CERT_PATH"
            ),
            advice="Name a PEM file.",
        ) from None
    timeout = httpx.Timeout(READ_SECONDS, connect=CONNECT_SECONDS)
    return httpx.AsyncClient(headers=headers, auth=auth, verify=context, timeout=timeout)


class MlflowServer:
    """An MLflow server. `root`: the folder below which artifacts with local paths may be read, or None."""

    def __init__(self, address: Address, *, root: Path | None = None, waits: Waits | None = None) -> None:
        self.uri = address.uri
        self._client = _client(address)
        self._root = root
        self.requests = Requests(address.uri, "MLflow", self._client, CREDENTIALS, waits)

    async def aclose(self) -> None:
        """Close the connections."""
        await self._client.aclose()

    async def models(self) -> AsyncIterator[dict[str, Any]]:
        """Yield the registered models, without prompts."""
        async for page in self._pages("registered-models/search", {"max_results": PAGE}):
            for model in page.get("registered_models") or ():
                if tags_of(model).get(PROMPT) != "true":
                    yield model

    async def versions(self, name: str) -> list[dict[str, Any]]:
        """Return the versions of a model, by number. Raises Invalid for a name that no filter can state."""
        mark = "'" if "'" not in name else '"'
        if mark in name:
            detail = f"{name!r:.120} has both kinds of quotation marks, so MLflow cannot list its versions"
            raise Invalid("unlistable_name", detail, advice="Rename the model there.")
        query = {"filter": f"name={mark}{name}{mark}", "max_results": PAGE}
        found = [
            version
            async for page in self._pages("model-versions/search", query)
            for version in page.get("model_versions") or ()
            if version.get("name") == name
        ]
        return sorted(found, key=lambda version: int(version["version"]))

    async def run(self, run_id: str) -> dict[str, Any] | None:
        """Return a run, None when it is deleted for good."""
        return await self._one("runs/get", "run", run_id=run_id)

    async def logged_model(self, model_id: str) -> dict[str, Any] | None:
        """Return a logged model (MLflow 3), None when there is none."""
        return await self._one(f"logged-models/{quote(model_id, safe='')}", "model")

    async def _one(self, path: str, field_: str, **query: str) -> dict[str, Any] | None:
        try:
            found = (await self.requests.get(f"{API}/{path}", query)).get(field_)
        except NotFound:
            return None
        return found if isinstance(found, dict) else None

    async def location(self, name: str, number: str) -> str:
        """Return the URI of a version's artifacts."""
        query = {"name": name, "version": number}
        found = await self.requests.get(f"{API}/model-versions/get-download-uri", query)
        return str(found.get("artifact_uri") or "")

    def files(
        self,
        location: str,
        run: Mapping[str, Any] | None = None,
        logged: Mapping[str, Any] | None = None,
    ) -> Files:
        """Return what reads the files of an artifact. Raises Unreachable for what cannot be read.

        The server names the location, so a local path counts only below the folder that the caller named, and
        no other host is called. What belongs to the run or the logged model is read through the server.
        """
        parts = urlsplit(location)
        if parts.scheme == "mlflow-artifacts" and self._is_own(parts.netloc):
            return ProxiedFiles(self.requests, unquote(parts.path))
        if parts.scheme in {"http", "https"} and self._is_own(parts.netloc) and PROXY in parts.path:
            return ProxiedFiles(self.requests, unquote(parts.path.partition(PROXY)[2]))
        if self._root is not None and parts.scheme in {"", "file"} and parts.path.startswith("/"):
            return LocalFiles.below(self._root, Path(unquote(parts.path) if parts.scheme else location))
        run_info, model_info = (run or {}).get("info") or {}, (logged or {}).get("info") or {}
        for info, id_, reads in (
            (model_info, "model_id", LoggedModelFiles),
            (run_info, "run_id", RunFiles),
        ):
            own = str(info.get("artifact_uri") or "").rstrip("/")
            if own and info.get(id_) and f"{location.rstrip('/')}/".startswith(f"{own}/"):
                return reads(self.requests, str(info[id_]), location[len(own) :])
        raise Unreachable(_UNREACHABLE)

    def _is_own(self, netloc: str) -> bool:
        own = urlsplit(self.uri)
        return netloc in {"", own.netloc} or netloc == f"{own.hostname}:{own.port}"

    async def _pages(self, path: str, query: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        token: str | None = None
        while True:
            page = await self.requests.get(f"{API}/{path}", {**query, "page_token": token})
            yield page
            token = page.get("next_page_token")
            if not token:
                return


def tags_of(entity: Mapping[str, Any]) -> dict[str, str]:
    """Return MLflow's list of keys and values as a dictionary."""
    return {str(tag.get("key", "")): str(tag.get("value", "")) for tag in entity.get("tags") or ()}
