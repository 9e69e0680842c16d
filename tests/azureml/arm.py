"""Answer as Azure Resource Manager does for the models of one workspace.

The shapes are those of the published description of Microsoft.MachineLearningServices. Microsoft's own
client is run against it (`tests/integration/sdk/test_azure_client.py`), so that it is more than what the
importer expects.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote, unquote

import msgspec

from .entra import token_of
from .shapes import API_VERSIONS, NAME, NUMBER, QUERIES, VIEWS, ContainerBody, VersionBody
from .workspace import GROUP, HOME, MADE, PERSON, PROVIDER, SUBSCRIPTION, WORKSPACE, AzureMl, Container

PAGE = 3
"""Entries of one page. Azure's pages are longer, but no caller may rely on that."""


class Answered(Exception):  # noqa: N818 - an answer, not a fault
    """The answer to a request, where it is an error."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.body = {"error": {"code": code, "message": message}}


@dataclass
class Request:
    method: str
    path: str
    query: dict[str, list[str]]
    headers: Any
    body: bytes

    def one(self, name: str) -> str | None:
        values = self.query.get(name) or [None]
        return values[0]

    def read(self, type_: Any) -> Any:
        try:
            return msgspec.json.decode(self.body, type=type_)
        except msgspec.MsgspecError as e:
            raise Answered(400, "ValidationError", f"the body is refused: {e}") from None

    def only(self, allowed: frozenset[str]) -> None:
        if odd := sorted(self.query.keys() - allowed):
            raise Answered(400, "InvalidQueryParameter", f"unknown parameters: {', '.join(odd)}")


def answer(azure: AzureMl, request: Request) -> tuple[int, Any]:
    """Return status and body of a request to ARM. Raises Answered."""
    if request.path == "/metadata/endpoints":
        return 200, [_cloud(azure)]
    if (given := token_of(azure, request.path, request.body)) is not None:
        return given
    _authorize(azure, request)
    for pattern, methods in ROUTES:
        if found := pattern.fullmatch(request.path):
            if request.method not in methods:
                raise Answered(405, "MethodNotAllowed", f"{request.method} is not allowed here")
            _check(request, found.groupdict())
            return methods[request.method](azure, request, *map(unquote, found.groups()[3:]))
    raise Answered(404, "InvalidResourceType", f"no such resource: {request.path}")


def _authorize(azure: AzureMl, request: Request) -> None:
    scheme, _, token = request.headers.get("Authorization", "").partition(" ")
    if scheme != "Bearer" or not token:
        raise Answered(401, "AuthenticationFailed", "the 'Authorization' header is missing")
    if azure.faults.expired:
        raise Answered(401, "ExpiredAuthenticationToken", "The access token expiry UTC time is earlier.")
    if token not in azure.tokens:
        raise Answered(401, "InvalidAuthenticationToken", "The access token is invalid.")


def _check(request: Request, names: Mapping[str, str]) -> None:
    versions = request.query.pop("api-version", [])
    if "/api/2.0/mlflow/" in request.path:  # MLflow's interface has no such parameter
        versions = versions or ["2024-10-01"]
    if len(versions) != 1:
        raise Answered(400, "MissingApiVersionParameter", "The api-version query parameter is required.")
    if versions[0] not in API_VERSIONS:
        raise Answered(400, "NoRegisteredProviderFound", f"no such api-version: {versions[0]}")
    if names["subscription"].lower() != SUBSCRIPTION:
        raise Answered(404, "SubscriptionNotFound", "The subscription could not be found.")
    if names["group"].lower() != GROUP:
        raise Answered(404, "ResourceGroupNotFound", "Resource group could not be found.")
    if names["workspace"].lower() != WORKSPACE:
        raise Answered(404, "ResourceNotFound", f"The workspace {names['workspace']!r} was not found.")
    if request.method == "PUT" and request.headers.get_content_type() != "application/json":
        raise Answered(415, "UnsupportedMediaType", "send application/json")


def _cloud(azure: AzureMl) -> dict[str, Any]:
    return {
        "name": "RegistaTest",
        "portal": "https://portal.azure.localhost/",
        "resourceManager": azure.url + "/",
        "authentication": {"loginEndpoint": "https://login.invalid/"},
        "suffixes": {"storage": azure.storage_suffix},
    }


def _resource(type_: str, name: str, properties: Any, path: str, **more: Any) -> dict[str, Any]:
    return {"id": HOME + path, "name": name, "type": f"{PROVIDER}/{type_}", "properties": properties, **more}


def _system(by: str, at: str) -> dict[str, Any]:
    return {
        "createdAt": at,
        "createdBy": by,
        "createdByType": "User",
        "lastModifiedAt": at,
        "lastModifiedBy": by,
        "lastModifiedByType": "User",
    }


def get_workspace(azure: AzureMl, request: Request) -> tuple[int, Any]:
    request.only(frozenset())
    facts = {
        "workspaceId": "0a1b2c3d-0000-1111-2222-333344445555",
        "provisioningState": "Succeeded",
        "friendlyName": WORKSPACE,
        "mlFlowTrackingUri": f"azureml://{azure.url.removeprefix('https://')}/mlflow/v1.0{HOME}",
        "discoveryUrl": azure.url + "/discovery",
        "storageAccount": f"/subscriptions/{SUBSCRIPTION}/storageAccounts/regista",
    }
    return 200, _resource("workspaces", WORKSPACE, facts, "", location="westeurope", kind="Default", tags={})


def list_datastores(azure: AzureMl, request: Request) -> tuple[int, Any]:
    request.only(QUERIES["datastores"])
    default, names = request.one("isDefault"), request.one("names")
    found = [
        _datastore(azure, name)
        for name, facts in sorted(azure.datastores.items())
        if (default is None or facts["isDefault"] == (default.lower() == "true"))
        and (names is None or name in names.split(","))
    ]
    return 200, _page(azure, request, found)


def get_datastore(azure: AzureMl, request: Request, name: str) -> tuple[int, Any]:
    request.only(frozenset())
    return 200, _datastore(azure, name)


def list_secrets(azure: AzureMl, request: Request, name: str) -> tuple[int, Any]:
    if name not in azure.keys:
        raise Answered(404, "UserError", f"Could not find datastore: {name}")
    return 200, azure.keys[name]


def _datastore(azure: AzureMl, name: str) -> dict[str, Any]:
    if name not in azure.datastores:
        raise Answered(404, "UserError", f"Could not find datastore: {name}")
    facts = {"description": None, "tags": {}, "properties": {}, **azure.datastores[name]}
    return _resource("workspaces/datastores", name, facts, f"/datastores/{name}")


def get_job(azure: AzureMl, request: Request, name: str) -> tuple[int, Any]:
    request.only(frozenset())
    if name not in azure.jobs:
        raise Answered(404, "UserError", f"Could not find job: {name}")
    path = f"/jobs/{quote(name)}"
    return 200, _resource("workspaces/jobs", name, azure.jobs[name], path, systemData=_system(PERSON, MADE))


def get_run(azure: AzureMl, request: Request) -> tuple[int, Any]:
    run = azure.runs.get(request.one("run_id") or "")
    if run is None:
        raise Answered(404, "UserError", "no such run")
    return 200, {"run": run}


def _view(request: Request, archived: bool) -> bool:
    view = request.one("listViewType") or "ActiveOnly"
    if view not in VIEWS:
        raise Answered(400, "ValidationError", f"listViewType is one of {', '.join(VIEWS)}")
    return view == "All" or (view == "ArchivedOnly") == archived


def _page(azure: AzureMl, request: Request, entries: list[Any]) -> dict[str, Any]:
    """Return one page, and the whole address of the next one."""
    skip = int(request.one("$skip") or 0)
    page = {"value": entries[skip : skip + PAGE]}
    if skip + PAGE < len(entries):
        kept = {name: values[0] for name, values in request.query.items() if name != "$skip"}
        query = "&".join(f"{quote(k)}={quote(v)}" for k, v in {**kept, "$skip": str(skip + PAGE)}.items())
        page["nextLink"] = f"{azure.url}{request.path}?api-version=2025-12-01&{query}"
    return page


def _container(azure: AzureMl, name: str) -> Container:
    if name not in azure.models:
        raise Answered(404, "UserError", f"Could not find asset with ID: {name}")
    return azure.models[name]


def _shown_container(model: Container) -> dict[str, Any]:
    newest = max(model.versions, default=0)
    facts = {
        "description": None,
        "tags": {},
        "properties": {},
        "isArchived": False,
        **model.properties,
        "latestVersion": str(newest) if newest else None,
        "nextVersion": str(newest + 1),
    }
    path = f"/models/{quote(model.name)}"
    return _resource("workspaces/models", model.name, facts, path, systemData=_system(PERSON, model.made))


def list_models(azure: AzureMl, request: Request) -> tuple[int, Any]:
    request.only(QUERIES["models"])
    found = [
        _shown_container(model)
        for _, model in sorted(azure.models.items())
        if _view(request, bool(model.properties.get("isArchived")))
    ]
    return 200, _page(azure, request, found)


def get_model(azure: AzureMl, request: Request, name: str) -> tuple[int, Any]:
    request.only(frozenset())
    return 200, _shown_container(_container(azure, name))


def put_model(azure: AzureMl, request: Request, name: str) -> tuple[int, Any]:
    request.only(frozenset())
    if not NAME.fullmatch(name):
        raise Answered(400, "ValidationError", f"the name {name!r} does not match {NAME.pattern}")
    body: ContainerBody = request.read(ContainerBody)
    status = 200 if name in azure.models else 201
    model = azure.models.setdefault(name, Container(name))
    model.properties = msgspec.to_builtins(body.properties)
    return status, _shown_container(model)


def _shown_version(model: Container, number: int) -> dict[str, Any]:
    facts = {
        "description": None,
        "tags": {},
        "properties": {},
        "isArchived": False,
        "isAnonymous": False,
        "flavors": {},
        "modelType": "custom_model",
        "provisioningState": "Succeeded",
        **model.versions[number],
    }
    path = f"/models/{quote(model.name)}/versions/{number}"
    system = _system(model.by.get(number, PERSON), MADE)
    return _resource("workspaces/models/versions", str(number), facts, path, systemData=system)


def list_versions(azure: AzureMl, request: Request, name: str) -> tuple[int, Any]:
    request.only(QUERIES["versions"])
    model, stage = azure.models.get(name) or Container(name), request.one("stage")
    found = [
        _shown_version(model, number)
        for number, facts in sorted(model.versions.items(), reverse=True)
        if _view(request, bool(facts.get("isArchived"))) and stage in {None, facts.get("stage")}
    ]
    return 200, _page(azure, request, found[: int(request.one("$top") or len(found))])


def get_version(azure: AzureMl, request: Request, name: str, version: str) -> tuple[int, Any]:
    request.only(frozenset())
    model = _container(azure, name)
    if not version.isdecimal() or int(version) not in model.versions:
        raise Answered(404, "UserError", f"Could not find asset with ID: {name}/versions/{version}")
    return 200, _shown_version(model, int(version))


def put_version(azure: AzureMl, request: Request, name: str, version: str) -> tuple[int, Any]:
    """Create a version, or replace what may change: not where its files are, and no property that is set."""
    request.only(frozenset())
    if not NAME.fullmatch(name) or not NUMBER.fullmatch(version):
        raise Answered(400, "ValidationError", f"{name!r} or {version!r} is no name or number of a model")
    wanted = request.read(VersionBody).properties
    if not wanted.model_uri or not re.match(r"azureml://|runs:/|https://", wanted.model_uri):
        raise Answered(400, "ValidationError", "modelUri is missing, or no URI of files")
    facts = msgspec.to_builtins(wanted)
    model, number = azure.models.get(name), int(version)
    before = model.versions.get(number) if model else None
    if before is not None:
        if _path(before.get("modelUri")) != _path(wanted.model_uri):
            raise Answered(400, "UserError", "Asset paths cannot be updated.")
        kept = before.get("properties") or {}
        if any((facts.get("properties") or {}).get(key, value) != value for key, value in kept.items()):
            raise Answered(400, "UserError", "Asset properties cannot be changed.")
        facts["properties"] = kept | (facts.get("properties") or {})
    model = azure.models.setdefault(name, Container(name, made=datetime.now(UTC).isoformat()))
    model.versions[number] = facts
    return (200 if before is not None else 201), _shown_version(model, number)


def _path(uri: str | None) -> str:
    """Return what a URI names, in its short or long form."""
    return (uri or "").partition("/datastores/")[2].rstrip("/") or (uri or "")


Handles = Callable[..., tuple[int, Any]]


def _route(path: str, **methods: Handles) -> tuple[re.Pattern[str], dict[str, Handles]]:
    at = (
        r"/subscriptions/(?P<subscription>[^/]+)/resourceGroups/(?P<group>[^/]+)/providers/"
        rf"{re.escape(PROVIDER)}/workspaces/(?P<workspace>[^/]+)"
    )
    return re.compile(at + path.replace("*", "([^/]+)"), re.IGNORECASE), methods


def _tracking() -> tuple[re.Pattern[str], dict[str, Handles]]:
    """MLflow's tracking API, which every workspace serves below the address that ARM states."""
    pattern, methods = _route("/api/2.0/mlflow/runs/get", GET=get_run)
    return re.compile("/mlflow/v1.0" + pattern.pattern, re.IGNORECASE), methods


ROUTES = (
    _route("", GET=get_workspace),
    _route("/datastores", GET=list_datastores),
    _route("/datastores/*", GET=get_datastore),
    _route("/datastores/*/listSecrets", POST=list_secrets),
    _route("/jobs/*", GET=get_job),
    _tracking(),
    _route("/models", GET=list_models),
    _route("/models/*", GET=get_model, PUT=put_model),
    _route("/models/*/versions", GET=list_versions),
    _route("/models/*/versions/*", GET=get_version, PUT=put_version),
)
