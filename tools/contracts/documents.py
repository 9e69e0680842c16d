"""Build every contract file, as a path below schemas/ and a JSON value, from the code alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic import BaseModel, TypeAdapter

from services.approval import publish as approval
from services.approval.service import SERVICE as APPROVAL
from services.artifact import publish as artifact
from services.artifact.service import SERVICE as ARTIFACT
from services.cleanup import inbound as used
from services.cleanup import publish as cleanup
from services.cleanup.service import SERVICE as CLEANUP
from services.kafka.topics import TRAINING, USAGE
from services.mirror.service import SERVICE as MIRROR
from services.registry import inbound as trained
from services.registry import publish as registry
from services.registry.access.service import ACCESS_SERVICE
from services.registry.service import SERVICE as REGISTRY
from shared.deciding.events import KERNEL_EVENTS, encode
from shared.deciding.service import Service
from shared.foundation.topics import topic_of
from tools.contracts import asyncapi, client_shapes, client_stub, vectors
from tools.contracts.compare import Side
from tools.contracts.example import example
from tools.contracts.python_text import formatted

SERVICES: Sequence[Service] = (REGISTRY, ACCESS_SERVICE, APPROVAL, ARTIFACT, CLEANUP, MIRROR)
OUTBOUND: Mapping[str, Mapping[str, type]] = {
    "registry": registry.PUBLIC,
    "approval": approval.PUBLIC,
    "artifact": artifact.PUBLIC,
    "cleanup": cleanup.PUBLIC,
}
INBOUND: Mapping[str, tuple[str, type[BaseModel]]] = {
    trained.MODEL_TRAINED: (TRAINING, trained.ModelTrained),
    used.MODEL_USED: (USAGE, used.ModelUsed),
}


CLIENT = "../sdk/src/regista"
OF_CLIENT = f"{CLIENT}/publishing"
"""Where the client's copy of the schema of `ModelTrained` is: it checks what it publishes."""


@dataclass(frozen=True, slots=True)
class Document:
    """One file, of JSON or a text. `side` is whom a change can break; None where nothing reads it alone."""

    path: str
    content: Any
    side: Side | None = None


def public() -> Iterator[Document]:
    """Yield a JSON Schema and an example per public event version, and the AsyncAPI document."""
    for service, types in OUTBOUND.items():
        for type_, class_ in types.items():
            name = type_.removeprefix(f"regista.{service}.")
            schema = TypeAdapter(class_).json_schema(mode="serialization")
            yield Document(f"public/{service}/{name}.json", _identified(schema, type_), "readers")
            yield Document(f"public/{service}/examples/{name}.json", _plain(example(class_)))
    for type_, (_, model) in INBOUND.items():
        name = type_.removeprefix("regista.")
        schema = _identified(model.model_json_schema(), type_)
        yield Document(f"public/inbound/{name}.json", schema, "writers")
        if type_ == trained.MODEL_TRAINED:
            yield Document(f"{OF_CLIENT}/{name}.json", schema)
    yield Document("public/asyncapi.json", asyncapi.document(channels()))


def _identified(schema: dict[str, Any], type_: str) -> dict[str, Any]:
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"urn:{type_.replace('.', ':')}",
        **schema,
    }


def _plain(value: Any) -> Any:
    return msgspec.json.decode(encode(value))


def stored() -> Iterator[Document]:
    """Yield an example of the current schema of every stored event; files of older ones stay."""
    for kernel_event in KERNEL_EVENTS:
        yield Document(f"stored/kernel/{kernel_event.__name__}.v1.json", _plain(example(kernel_event)))
    for service in SERVICES:
        for class_ in service.events.classes:
            number = getattr(class_, "SCHEMA", 1)
            yield Document(f"stored/{service.name}/{class_.__name__}.v{number}.json", _plain(example(class_)))


def channels() -> Iterator[asyncapi.Channel]:
    """Yield the topics of services, and those of publishers."""
    for service, types in OUTBOUND.items():
        files = {type_: f"{service}/{type_.removeprefix(f'regista.{service}.')}.json" for type_ in types}
        yield "send", topic_of(service), files
    for type_, (topic, _) in INBOUND.items():
        yield "receive", topic, {type_: f"inbound/{type_.removeprefix('regista.')}.json"}


def openapi() -> Iterator[Document]:
    """Yield the OpenAPI 3.1 document of each service, and the types of the client that follow from them."""
    from tools.contracts.routes import documents  # noqa: PLC0415 - services' APIs are heavy and only needed here

    by_service = dict(documents())
    for service, document in by_service.items():
        yield Document(f"public/openapi/{service}.json", document)
    for name, text in client_shapes.modules(by_service):
        yield Document(f"{CLIENT}/shapes/{name}.py", formatted(text))


def client() -> Iterator[Document]:
    """Yield the type declarations of the synchronous client, which has the calls of the asynchronous one."""
    yield Document(f"{CLIENT}/client/sync_calls.pyi", formatted(client_stub.calls(), "a.pyi"))
    yield Document(f"{CLIENT}/client/functions.pyi", formatted(client_stub.functions(), "a.pyi"))


def everything() -> Iterator[Document]:
    yield from public()
    yield from stored()
    yield from openapi()
    yield from client()
    for path, content in vectors.everything():
        yield Document(path, content)
