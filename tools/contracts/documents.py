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
from services.local.topics import TRAINING, USAGE
from services.registry import inbound as trained
from services.registry import publish as registry
from services.registry.access.service import ACCESS_SERVICE
from services.registry.service import SERVICE as REGISTRY
from shared.deciding.events import KERNEL_EVENTS, encode
from shared.deciding.service import Service
from shared.foundation.topics import topic_of
from tools.contracts.compare import Side
from tools.contracts.example import example

SERVICES: Sequence[Service] = (REGISTRY, ACCESS_SERVICE, APPROVAL, ARTIFACT, CLEANUP)
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


@dataclass(frozen=True, slots=True)
class Document:
    """One file. `side` is whom a change can break; None for documents that only refer to others."""

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
        yield Document(
            f"public/inbound/{name}.json", _identified(model.model_json_schema(), type_), "writers"
        )
    yield Document("public/asyncapi.json", asyncapi())


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


def asyncapi() -> dict[str, Any]:
    """Return AsyncAPI 3.0: a channel per topic, a message per public event version, payloads by reference."""
    channels: dict[str, Any] = {}
    operations: dict[str, Any] = {}
    for service, types in OUTBOUND.items():
        messages = {type_: f"{service}/{type_.removeprefix(f'regista.{service}.')}.json" for type_ in types}
        _channel(channels, operations, topic_of(service), messages, action="send")
    for type_, (topic, _) in INBOUND.items():
        _channel(
            channels,
            operations,
            topic,
            {type_: f"inbound/{type_.removeprefix('regista.')}.json"},
            action="receive",
        )
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Regista",
            "version": "1",
            "license": {"name": "Apache-2.0"},
            "description": (
                "CloudEvents 1.0 in Kafka's binary mode, signed with the extension dssematerial. "
                "The key is the subject (a stream; inbound: the model's name)."
            ),
        },
        "defaultContentType": "application/json",
        "channels": channels,
        "operations": operations,
    }


def _channel(
    channels: dict[str, Any],
    operations: dict[str, Any],
    topic: str,
    messages: Mapping[str, str],
    *,
    action: str,
) -> None:
    channels[topic] = {
        "address": topic,
        "messages": {
            type_: {
                "name": type_,
                "payload": {
                    "schemaFormat": "application/schema+json;version=draft-2020-12",
                    "schema": {"$ref": file},
                },
            }
            for type_, file in messages.items()
        },
    }
    operations[f"{action}-{topic}"] = {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.replace('/', '~1')}"},
    }


def openapi() -> Iterator[Document]:
    """Yield the OpenAPI 3.1 document of each service."""
    from tools.contracts.routes import documents  # noqa: PLC0415 - services' APIs are heavy and only needed here

    for service, document in documents():
        yield Document(f"public/openapi/{service}.json", document)


def everything() -> Iterator[Document]:
    yield from public()
    yield from stored()
    yield from openapi()
