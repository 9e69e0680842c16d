"""MLflow's registry as a target, over its REST API: any server that proxies artifacts.

Settings: `url`; `token_file`, or `username` and `password_file`, or MLflow's own environment variables;
`ca_file`; `prefix` before the names of models; `stages = false` leaves MLflow's stages alone; `experiment`
has the runs with the files.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal
from urllib.parse import quote, urlsplit

import httpx
from pydantic import BaseModel, ConfigDict, Field

from services.mirror.targets.base import Files, Found, Refused, Unavailable, Wanted
from services.mirror.targets.mlflow_fields import (
    FILES,
    ID,
    STAGE_THERE,
    alias_list,
    aliases_of,
    name_there,
    size_of,
    stage_there,
    tags_of,
)
from services.mirror.targets.retry_after import seconds
from services.mirror.targets.settings import secret, trusted, validated
from services.mirror.targets.texts import MODEL_ID

SECONDS = 60.0
_API = "/api/2.0/mlflow/"
_FILES = "/api/2.0/mlflow-artifacts/artifacts"
_ABSENT = frozenset({"RESOURCE_DOES_NOT_EXIST"})
_LATER = frozenset({401, 403, 408, 425, 429})


class MlflowSettings(BaseModel):
    """See the first lines of this file."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    url: str = Field(pattern=r"^https?://[^\s@]+$", max_length=500)
    prefix: str = Field("", max_length=100, pattern=r"^[^/:]*$")
    token_file: str = ""
    username: str = ""
    password_file: str = ""
    ca_file: str = ""
    stages: bool = True
    experiment: str = Field("Regista", min_length=1, max_length=200)

    def authorization(self) -> httpx.Auth | None:
        """Return how requests are authenticated: files are read again at each opening of the target."""
        token = secret(self.token_file) or os.environ.get("MLFLOW_TRACKING_TOKEN", "")
        if token:
            return _Bearer(token)
        name = self.username or os.environ.get("MLFLOW_TRACKING_USERNAME", "")
        password = secret(self.password_file) or os.environ.get("MLFLOW_TRACKING_PASSWORD", "")
        return httpx.BasicAuth(name, password) if name else None


class _Bearer(httpx.Auth):
    def __init__(self, token: str) -> None:
        self._header = f"Bearer {token}"

    def auth_flow(self, request: httpx.Request) -> Any:
        request.headers["authorization"] = self._header
        yield request


def open_target(settings: Mapping[str, Any]) -> MlflowTarget:
    """Return the target with these settings. Raises Refused."""
    return MlflowTarget(validated(MlflowSettings, settings, "MLflow"))


class MlflowTarget:
    """An MLflow server."""

    def __init__(self, settings: MlflowSettings) -> None:
        self._settings = settings
        verify = trusted(settings.ca_file)
        self._http = httpx.AsyncClient(
            base_url=settings.url.rstrip("/"),
            auth=settings.authorization(),
            timeout=httpx.Timeout(SECONDS, connect=10.0),
            headers={"user-agent": "regista-mirror"},
            follow_redirects=False,
            trust_env=False,
            verify=verify,
        )

    async def close(self) -> None:
        """Close connections."""
        await self._http.aclose()

    def name_of(self, model: str) -> str:
        """Return the model's name in MLflow."""
        return name_there(self._settings.prefix, model)

    def shown(self, wanted: Wanted) -> Mapping[str, str]:
        """Return description, aliases, stage, tags and the size of the files."""
        fields = {f"tag {key}": value for key, value in tags_of(wanted).items()}
        fields |= {"description": wanted.description, "aliases": alias_list(aliases_of(wanted))}
        if self._settings.stages:
            fields[STAGE_THERE] = stage_there(wanted)
        if wanted.files:
            fields[FILES] = size_of(wanted.files)
        return fields

    async def read(self, wanted: Wanted) -> Found | None:
        """Return the version with our tag."""
        version = await self._version(wanted)
        return await self._found(wanted, version) if version is not None else None

    async def write(self, wanted: Wanted, files: Files) -> Found:
        """Write files, then the version with its tag, then tags, description, stage and aliases."""
        version = await self._version(wanted)
        found = await self._found(wanted, version) if version is not None else None
        shown = self.shown(wanted)
        source, run = (version["source"], "") if version is not None else await self._source(wanted)
        if wanted.files and (found is None or found.fields.get(FILES) != shown[FILES]):
            for file in wanted.files:
                await self._upload(source, file.path, file.size, files)
        if version is None:
            await self._model(wanted)
            body = {
                "name": self._name(wanted),
                "source": source,
                "run_id": run,
                "description": wanted.description,
                "tags": _pairs({key: value for key, value in tags_of(wanted).items() if value}),
            }
            version = (await self._post("model-versions/create", body))["model_version"]
        found = await self._found(wanted, version)
        await self._change(wanted, version, found, shown)
        version = await self._version(wanted)
        if version is None:
            raise Unavailable("MLflow does not show the version that was written to it.")
        return await self._found(wanted, version)

    async def _change(
        self, wanted: Wanted, version: Mapping[str, Any], found: Found, shown: Mapping[str, str]
    ) -> None:
        """Change what differs. Aliases are last, as they are what a client loads."""
        name, number = version["name"], str(version["version"])
        one = {"name": name, "version": number}
        for field, value in shown.items():
            if field.startswith("tag ") and found.fields.get(field, "") != value:
                await self._post("model-versions/set-tag", one | {"key": field[4:], "value": value})
        if found.fields["description"] != wanted.description:
            body = one | {"description": wanted.description}
            await self._post("model-versions/update", body, method="PATCH")
        if STAGE_THERE in shown and found.fields[STAGE_THERE] != shown[STAGE_THERE]:
            body = one | {"stage": shown[STAGE_THERE], "archive_existing_versions": False}
            await self._post("model-versions/transition-stage", body)
        there = set(version.get("aliases", ()))
        for alias in sorted(aliases_of(wanted) - there):
            await self._post("registered-models/alias", one | {"alias": alias})
        for alias in sorted(there - aliases_of(wanted)):
            await self._post("registered-models/alias", {"name": name, "alias": alias}, method="DELETE")

    async def _version(self, wanted: Wanted) -> dict[str, Any] | None:
        """Return the version with our tag, the oldest where there are several."""
        name = self._name(wanted).replace("'", "''")
        query = {"filter": f"name = '{name}' AND tags.`{ID}` = '{wanted.tag}'", "max_results": "10"}
        found = await self._get("model-versions/search", query)
        versions = found.get("model_versions", [])
        if not versions:
            return None
        number = str(min(int(v["version"]) for v in versions))
        one = await self._get("model-versions/get", {"name": self._name(wanted), "version": number})
        version: dict[str, Any] = one["model_version"]
        return version

    async def _found(self, wanted: Wanted, version: Mapping[str, Any]) -> Found:
        tags = {tag["key"]: tag["value"] for tag in version.get("tags", ())}
        fields = {f"tag {key}": value for key, value in tags.items()}
        fields |= {
            "description": version.get("description", ""),
            "aliases": alias_list(version.get("aliases", ())),
            STAGE_THERE: version.get("current_stage", "None"),
        }
        if wanted.files:
            fields[FILES] = await self._size(_folder(version["source"]))
        return Found(f"models:/{version['name']}/{version['version']}", fields)

    async def _size(self, folder: str) -> str:
        """Return the number and the size of the files below a folder, as `size_of` does."""
        count = size = 0
        folders = [folder]
        while folders:
            path = folders.pop()
            listed = await self._request("GET", _FILES, params={"path": path})
            for entry in listed.get("files") or ():
                if entry.get("is_dir"):
                    folders.append(f"{path}/{entry['path']}")
                else:
                    count, size = count + 1, size + int(entry.get("file_size", 0))
        return f"{count} files, {size} bytes"

    async def _model(self, wanted: Wanted) -> None:
        """Create the registered model, or find it with our tag. One that others made is not taken over."""
        name = self._name(wanted)
        found = await self._get("registered-models/get", {"name": name})
        if not found:
            own = _pairs({MODEL_ID: wanted.model_id})
            body = {"name": name, "description": wanted.model_description, "tags": own}
            try:
                await self._post("registered-models/create", body)
            except Refused:
                found = await self._get("registered-models/get", {"name": name})
                if not found:
                    raise
            else:
                return
        tags = {tag["key"]: tag["value"] for tag in found["registered_model"].get("tags", ())}
        if tags.get(MODEL_ID) != wanted.model_id:
            raise Refused(
                f"MLflow has a registered model {name!r} that is not this mirror's: set a prefix in the"
                f" target's settings, or give it to the mirror by its tag {MODEL_ID}={wanted.model_id}; then"
                " run `regista mirror check --repair`."
            )

    def _name(self, wanted: Wanted) -> str:
        return wanted.name_there or self.name_of(wanted.model)

    async def _source(self, wanted: Wanted) -> tuple[str, str]:
        """Return where the files of a new version go, and the run that has them: MLflow wants one.

        The run is found again by our tag.
        """
        experiment = await self._experiment()
        search = {"experiment_ids": [experiment], "filter": f"tags.`{ID}` = '{wanted.tag}'", "max_results": 1}
        runs = (await self._post("runs/search", search)).get("runs", ())
        if not runs:
            name = f"{wanted.model} {wanted.semver or wanted.number}"
            body = {"experiment_id": experiment, "run_name": name, "tags": _pairs({ID: wanted.tag})}
            runs = [(await self._post("runs/create", body))["run"]]
        info = runs[0]["info"]
        return f"{info['artifact_uri']}/model", info["run_id"]

    async def _experiment(self) -> str:
        name = self._settings.experiment
        found = await self._get("experiments/get-by-name", {"experiment_name": name})
        if not found:
            try:
                return str((await self._post("experiments/create", {"name": name}))["experiment_id"])
            except Refused:  # another process made it
                found = await self._get("experiments/get-by-name", {"experiment_name": name})
                if not found:
                    raise
        return str(found["experiment"]["experiment_id"])

    async def _upload(self, source: str, path: str, size: int, files: Files) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            async for piece in files.read(path):
                yield piece

        await self._request(
            "PUT",
            f"{_FILES}/{quote(_folder(source))}/{quote(path)}",
            content=pieces(),
            headers={"content-length": str(size), "content-type": "application/octet-stream"},
        )

    async def _get(self, path: str, query: Mapping[str, str]) -> dict[str, Any]:
        """Return an answer, an empty one for what does not exist."""
        return await self._request("GET", _API + path, params=query, absent=True)

    async def _post(
        self, path: str, body: object, method: Literal["POST", "PATCH", "DELETE"] = "POST"
    ) -> dict[str, Any]:
        return await self._request(method, _API + path, json=body, absent=method == "DELETE")

    async def _request(self, method: str, path: str, *, absent: bool = False, **more: Any) -> dict[str, Any]:
        try:
            got = await self._http.request(method, path, **more)
        except httpx.TransportError as e:
            raise Unavailable(f"MLflow does not answer ({type(e).__name__}).") from e
        if got.is_success:
            try:
                document = got.json() if got.content.strip() else {}
            except ValueError as e:
                raise Unavailable("MLflow's answer is no JSON: is the URL that of an MLflow server?") from e
            return document if isinstance(document, dict) else {}
        code, message = _problem(got)
        if absent and code in _ABSENT:
            return {}
        raise _error(got, f"MLflow answers {got.status_code} to {method} {path[:200]}: {message}")


def _folder(source: str) -> str:
    """Return the path of files at the server's artifact proxy."""
    url = urlsplit(source)
    if url.scheme != "mlflow-artifacts":
        raise Refused(
            f"The MLflow server stores files at {url.scheme}:, past its own API: start it with"
            " --serve-artifacts, so that the mirror can send them."
        )
    return url.path.strip("/")


def _problem(got: httpx.Response) -> tuple[str, str]:
    try:
        document = got.json()
        return str(document["error_code"]), str(document.get("message", ""))[:300]
    except (ValueError, KeyError, TypeError):
        return "", got.reason_phrase


def _error(got: httpx.Response, text: str) -> Exception:
    if got.status_code in {401, 403}:
        return Unavailable(
            f"{text}. Renew the token or password that the target's settings name; the mirror reads it again."
        )
    if got.status_code in _LATER or got.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        return Unavailable(text, seconds(got.headers))
    return Refused(text)


def _pairs(values: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"key": key, "value": value} for key, value in values.items()]
