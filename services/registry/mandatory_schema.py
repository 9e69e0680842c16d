"""The mandatory metadata of each kind as JSON Schema: conditions of the schema of `ModelTrained`."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from regista.wire.mandatory import MANDATORY

Schema = dict[str, Any]
TEXT: Schema = {"type": "string", "minLength": 1}
OBJECT: Schema = {"type": "object"}
FILLED: Schema = {"type": "array", "minItems": 1}


def _within(path: str, schema: Schema) -> Schema:
    """Return the schema of an object that has this field below it, with this schema."""
    for name in reversed(path.split(".")):
        schema = {"type": "object", "required": [name], "properties": {name: schema}}
    return schema


PARTS: Mapping[str, Schema] = MappingProxyType(
    {
        "training.config": _within("training.config", OBJECT),
        "training.dataset.digest": _within("training.dataset.digest", TEXT),
        "training.metrics": _within("training.metrics", FILLED),
        "training.trained_at": _within("training.trained_at", {"type": "string"}),
        "training.creator": _within("training.creator", TEXT),
        "training.code": _within(
            "training.code", {"anyOf": [_within("digest", TEXT), _within("revision", TEXT)]}
        ),
        "signature": _within("signature", OBJECT),
        "signature.outputs": {
            "anyOf": [
                {"not": _within("signature", OBJECT)},
                _within("signature.outputs", FILLED),
            ]
        },
        "artifact.digest": _within("artifact", OBJECT),
        "parents": _within(
            "parents",
            {"type": "array", "contains": _within("relation", {"const": "base_model"})},
        ),
    }
)


def conditions() -> list[Schema]:
    """Return a condition for each kind: what is mandatory unless `draft` is true.

    A message without a kind may be about a model of any kind, so only the fields of all kinds are mandatory.
    """
    common = [name for name in MANDATORY["model"] if all(name in of_kind for of_kind in MANDATORY.values())]
    return [_unless_draft({}, common)] + [
        _unless_draft({"kind": {"const": kind}}, fields) for kind, fields in MANDATORY.items()
    ]


def _unless_draft(of_kind: Schema, fields: Any) -> Schema:
    draft = {"properties": {"draft": {"const": True}}, "required": ["draft"]}
    chosen: Schema = {"not": draft}
    if of_kind:
        chosen |= {"properties": of_kind, "required": list(of_kind)}
    return {"if": chosen, "then": {"allOf": [PARTS[name] for name in fields]}}
