"""Build the AsyncAPI document: topics, messages with their headers and keys, and how a client signs in."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from regista.wire import limits

TEXT = {"type": "string", "minLength": 1}
REQUIRED = {
    "ce_id": "Unique for its source. A message with the same source, id and data has no second effect.",
    "ce_source": "`/publishers/<subject>` or `/regista/<service>`: who signed.",
    "ce_specversion": "`1.0`",
    "ce_type": "The name of the message.",
    "ce_subject": "The stream; of a publisher's message, the model's name.",
    "ce_time": "RFC 3339 with a zone.",
    "ce_dssematerial": "The DSSE envelope with the signature, in Base64.",
}
OPTIONAL = {
    "content-type": "The attribute datacontenttype. The data are JSON, also without it.",
    "ce_dataschema": "The attribute dataschema.",
    "ce_signedextattrs": "The names of all extension attributes, which are all signed, with commas between.",
    "ce_partitionkey": "The key of the record; a publisher may leave the header out.",
    "ce_correlationid": "Carried through every event that follows.",
    "ce_causationid": "The id of the event before.",
    "ce_traceparent": "W3C trace context.",
}
OF_SERVICES = {
    "ce_recordedtime": "When the event was recorded.",
    "ce_revision": "The position of the event in its stream.",
    "ce_leaf": "The leaf of the event in the tree that audit signs.",
}
Channel = tuple[str, str, Mapping[str, str]]


def document(channels: Iterator[Channel]) -> dict[str, Any]:
    """Return AsyncAPI 3.0 for channels of (action, topic, payload file by message type)."""
    found, operations = {}, {}
    for action, topic, messages in channels:
        found[topic] = _channel(action, topic, messages)
        operations[f"{action}-{topic}"] = {
            "action": action,
            "channel": {"$ref": f"#/channels/{topic.replace('/', '~1')}"},
        }
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Regista",
            "version": "1",
            "license": {"name": "Apache-2.0"},
            "description": (
                "CloudEvents 1.0 in Kafka's binary mode, signed with the extension dssematerial. "
                "The key is the subject (a stream; inbound: the model's name). "
                "docs/from-any-language.md has the rules, schemas/vectors/ test vectors."
            ),
        },
        "servers": {
            "kafka": {
                "host": "kafka.example.com:9093",
                "protocol": "kafka-secure",
                "description": "TLS and SCRAM-SHA-512; one user for each publisher, reader and service.",
                "security": [{"$ref": "#/components/securitySchemes/scram"}],
            }
        },
        "defaultContentType": "application/json",
        "channels": found,
        "operations": operations,
        "components": {
            "securitySchemes": {"scram": {"type": "scramSha512"}},
            "schemas": {
                "publisherHeaders": _headers(OPTIONAL),
                "serviceHeaders": _headers(OPTIONAL | OF_SERVICES),
            },
        },
    }


def _headers(optional: Mapping[str, str]) -> dict[str, Any]:
    properties = {name: TEXT | {"description": text} for name, text in (REQUIRED | dict(optional)).items()}
    return {"type": "object", "required": list(REQUIRED), "properties": properties}


def _channel(action: str, topic: str, messages: Mapping[str, str]) -> dict[str, Any]:
    """Return a topic. `receive`: publishers write it, and the service receives."""
    headers = "publisherHeaders" if action == "receive" else "serviceHeaders"
    key = "the model's name" if action == "receive" else "the stream"
    channel: dict[str, Any] = {
        "address": topic,
        "servers": [{"$ref": "#/servers/kafka"}],
        "messages": {
            type_: {
                "name": type_,
                "headers": {"$ref": f"#/components/schemas/{headers}"},
                "bindings": {"kafka": {"key": {"type": "string", "description": key}}},
                "payload": {
                    "schemaFormat": "application/schema+json;version=draft-2020-12",
                    "schema": {"$ref": file},
                },
            }
            for type_, file in messages.items()
        },
    }
    if action == "receive":
        configuration = {"max.message.bytes": limits.RECORD_BYTES}
        channel["bindings"] = {"kafka": {"topicConfiguration": configuration}}
    return channel
