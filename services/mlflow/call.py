"""A request of a client of MLflow: who sends it, its fields, its workspace, and what it is answered with."""

from __future__ import annotations

import base64
import binascii
from collections import OrderedDict
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import msgspec
from starlette.requests import Request

from regista.wire.mlflow_names import read, written
from regista.wire.names import LONGEST_NAME
from services.mlflow.callers import Callers
from services.mlflow.errors import MlflowError, invalid
from services.mlflow.settings import MlflowSettings
from services.mlflow.upstream import Upstream
from shared.foundation.bounded_cache import BoundedCache

LARGEST_BODY = 1024 * 1024
KEPT = 10_000
DOCUMENTS_BYTES = 32 * 1024 * 1024
WORKSPACE = "x-mlflow-workspace"
DEFAULT_WORKSPACE = "default"
_MORE = " See the API docs for more information about request parameters."

Documents = BoundedCache[tuple[bytes, str, str], msgspec.Raw]
"""The JSON of versions in MLflow's form, by all that it is made from: the registry's JSON of the version, the
client's workspace, and the URL by which it reaches this service. So none of them is ever out of date."""


class ReadFiles:
    """The versions whose files this replica has read."""

    def __init__(self) -> None:
        self._versions: OrderedDict[tuple[str, int], None] = OrderedDict()

    def contains(self, version: Mapping[str, Any]) -> bool:
        """Return whether the files of a version, as the registry shows it, were read."""
        return (version["model_id"], version["number"]) in self._versions

    def add(self, version: Mapping[str, Any]) -> None:
        """Record that the files of a version were read."""
        self._versions[version["model_id"], version["number"]] = None
        if len(self._versions) > KEPT:
            self._versions.popitem(last=False)


@dataclass(frozen=True, slots=True)
class Call:
    """One request. `key` is the caller's API key or token, `fields` what the client sent.

    `workspace` is a namespace: names in requests and answers are those below it. `documents` keeps versions
    in MLflow's form.
    """

    request: Request
    upstream: Upstream
    settings: MlflowSettings
    key: str
    workspace: str
    read_files: ReadFiles
    callers: Callers
    documents: Documents
    fields: Mapping[str, Any] = field(default_factory=dict)

    # -- fields

    def text(self, name: str, *, required: bool = False) -> str:
        """Return a text, "" when it is not given. Raises MlflowError for another type."""
        value = self.fields.get(name)
        if value is None or value == "":
            if required:
                raise invalid(f"Missing value for required parameter '{name}'.{_MORE}")
            return ""
        if isinstance(value, bool) or not isinstance(value, str | int):
            raise self.wrong(name, value)
        if isinstance(value, int):
            value = str(value)
        if "\x00" in value:
            raise invalid(f"Parameter '{name}' has a NUL character: leave it out.")
        return value

    def given(self, name: str) -> str | None:
        """Return a text, None when it is not given."""
        return self.text(name) if self.fields.get(name) is not None else None

    def flag(self, name: str) -> bool:
        value = self.fields.get(name)
        if isinstance(value, str) and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if value is None or isinstance(value, bool):
            return bool(value)
        raise self.wrong(name, value)

    def number(self, name: str, default: int, most: int, least: int = 1) -> int:
        """Return a whole number within limits."""
        value = self.fields.get(name)
        if value is None or value == "":
            return default
        try:
            number = int(value)
        except (TypeError, ValueError):
            raise self.wrong(name, value) from None
        if isinstance(value, bool | float) or not least <= number <= most:
            raise invalid(
                f"Invalid value {number} for parameter '{name}' supplied. "
                f"It must be at least {least} and at most {most}.{_MORE}"
            )
        return number

    def texts(self, name: str) -> list[str]:
        """Return a list of texts. One value may stand for a list of one."""
        value = self.fields.get(name)
        listed = [] if value is None else value if isinstance(value, list) else [value]
        if not all(isinstance(one, str) for one in listed):
            raise self.wrong(name, value)
        return listed

    def tags(self, name: str = "tags") -> dict[str, str]:
        """Return tags, which clients send as a list of keys and values. The last one of a key counts."""
        value = self.fields.get(name) or []
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self.wrong(name, value)
        found = {}
        for one in value:
            key, text = one.get("key"), one.get("value", "")
            if not isinstance(key, str) or not isinstance(text, str):
                raise self.wrong(name, value)
            found[key] = text
        return found

    @staticmethod
    def wrong(name: str, value: object) -> MlflowError:
        shown = msgspec.json.encode(value).decode()[:200]
        kind = type(value).__name__
        return invalid(
            f"Invalid value {shown} for parameter '{name}' supplied. Hint: Value was of type '{kind}'.{_MORE}"
        )

    # -- names

    def outer(self, name: str) -> str:
        """Return the name of a model in Regista for the name that the client uses."""
        return f"{self.workspace}.{written(name)}" if self.workspace else written(name)

    def inner(self, name: str) -> str:
        """Return the name that the client uses for a model in Regista."""
        return read(name.removeprefix(f"{self.workspace}.") if self.workspace else name)

    @property
    def base_url(self) -> str:
        """The URL at which the client reaches this service."""
        if self.settings.mlflow_url:
            return self.settings.mlflow_url
        url = self.request.url
        return f"{url.scheme}://{url.netloc}{self.settings.mlflow_prefix}"

    def is_here(self, source: str) -> bool:
        """Return whether the source is a URL at the address by which the client reaches this service."""
        try:
            host = urlsplit(source).netloc
        except ValueError:
            return False
        return host in {urlsplit(self.base_url).netloc, self.request.url.netloc}

    # -- the other services

    async def get(self, path: str, service: str = "registry", **query: str) -> Any:
        return await self.upstream.call(self.key, "GET", path, service=service, query=query or None)

    async def send(
        self, method: str, path: str, body: object = None, *, idempotency_key: str = "", form: Any = Any
    ) -> Any:
        """Send a change to the registry. The last writer wins, as with MLflow.

        The answer is decoded to the type `form`.
        """
        match = "*" if method == "PATCH" else ""
        return await self.upstream.call(
            self.key, method, path, body, idempotency_key=idempotency_key, if_match=match, form=form
        )


def at(model: str, *parts: object) -> str:
    """Return the path of a model in the registry, or of what is below it."""
    return "/".join(["/models", *(quote(str(part), safe="@") for part in (model, *parts))])


def key_of(request: Request) -> str:
    """Return the caller's key: the Bearer token, or the password of Basic. Raises MlflowError."""
    scheme, _, value = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and value.strip():
        return _plain(value.strip())
    if scheme.lower() == "basic":
        try:
            _, colon, password = base64.b64decode(value, validate=True).decode().partition(":")
        except (binascii.Error, UnicodeDecodeError):
            colon = password = ""
        if colon and password:
            return _plain(password)
    raise MlflowError(
        "UNAUTHENTICATED",
        "Send an API key of Regista: set MLFLOW_TRACKING_TOKEN to it, or MLFLOW_TRACKING_USERNAME to its id "
        "and MLFLOW_TRACKING_PASSWORD to the key. An admin issues one with `regista access key issue`.",
    )


def _plain(key: str) -> str:
    if not key.isascii() or not key.isprintable() or " " in key:
        raise MlflowError("UNAUTHENTICATED", "The API key has characters that no key has: copy it again.")
    return key


async def fields_of(request: Request) -> dict[str, Any]:
    """Return the fields of a request: the query of a GET, else the JSON of the body. Raises MlflowError."""
    if request.method == "GET" and request.query_params:
        found: dict[str, list[str]] = {}
        for name, value in request.query_params.multi_items():
            found.setdefault(name, []).append(value)
        return {name: values if len(values) > 1 else values[0] for name, values in found.items()}
    body = await _bounded(request.stream())
    if not body.strip():
        return {}
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise invalid(f"Bad Request. Content-Type must be application/json, and is '{kind}'.")
    document = _json(body)
    if isinstance(document, str):  # some clients encode the fields twice
        document = _json(document)
    if document is None:
        return {}
    if not isinstance(document, dict):
        raise invalid("The body must be a JSON object.")
    return document


def _json(text: bytes | str) -> Any:
    try:
        return msgspec.json.decode(text)
    except msgspec.MsgspecError as wrong:
        raise invalid(f"The body is no JSON: {wrong}.") from None


async def _bounded(chunks: AsyncIterator[bytes]) -> bytes:
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > LARGEST_BODY:
            raise invalid(f"The body has more than {LARGEST_BODY} bytes: send less.")
    return bytes(body)


def workspace_of(request: Request) -> str:
    """Return the namespace that the client works in, "" for all. Raises MlflowError."""
    workspace = request.headers.get(WORKSPACE, "").strip()
    if len(workspace) > LONGEST_NAME:
        raise invalid(f"The workspace has more than {LONGEST_NAME} characters: no namespace has so many.")
    return "" if workspace == DEFAULT_WORKSPACE else workspace
