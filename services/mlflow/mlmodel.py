"""Read MLflow's description of a model, the file `MLmodel`: schema, framework, time of the training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from regista.wire import bounded_yaml

NAME = "MLmodel"
GENERAL = ("python_function", "mleap", "crate", "rpc")
"""Flavors that many frameworks have."""
DEEPEST = 10
LONGEST_TYPE = 200
_WRONG = (*bounded_yaml.ERRORS, TypeError)
"""What a value of another kind raises, here and in the YAML reader."""
Json = dict[str, Any]


def facts(content: bytes) -> Json:
    """Return what a version's metadata take from the file; nothing of one that cannot be read."""
    try:
        return _facts(bounded_yaml.load(content))
    except _WRONG:
        return {}


def _facts(document: object) -> Json:
    if not isinstance(document, Mapping):
        return {}
    training = {"framework": _framework(document), "trained_at": _time(document.get("utc_time_created"))}
    stated = {name: value for name, value in training.items() if value}
    signature = _signature(document.get("signature"))
    return ({"training": stated} if stated else {}) | ({"signature": signature} if signature else {})


def _framework(document: Mapping[str, Any]) -> Json | None:
    flavors = document.get("flavors")
    if not isinstance(flavors, Mapping):
        return None
    for name in sorted(str(one) for one in flavors if one not in GENERAL):
        flavor = flavors[name] if isinstance(flavors.get(name), Mapping) else {}
        versions = sorted(
            (str(k), str(v))
            for k, v in flavor.items()
            if str(k).endswith("_version") and isinstance(v, str | int | float)
        )
        version = versions[0][1] if versions else ""
        return {"name": name[:200], "version": version[:500]}
    return None


def _time(text: object) -> str | None:
    if not isinstance(text, str | datetime):
        return None
    try:
        moment = text if isinstance(text, datetime) else datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat()


def _signature(given: object) -> Json | None:
    """Return the schema in Regista's words: None where inputs and outputs are not both stated."""
    if not isinstance(given, Mapping):
        return None
    try:
        inputs, outputs = (_values(given.get(name)) for name in ("inputs", "outputs"))
        return _schema(inputs, outputs) if inputs and outputs else None
    except _WRONG:
        return None


def _schema(inputs: list[Json], outputs: list[Json]) -> Json:
    named_inputs, by_name = _named(inputs, "input")
    named_outputs, _ = _named(outputs, "output")
    return {
        "inputs": [
            {"name": name, "type": _type(one, 0), "required": bool(one.get("required", True))}
            for name, one in zip(named_inputs, inputs, strict=True)
        ],
        "outputs": [
            {"name": name, "type": _type(one, 0)} for name, one in zip(named_outputs, outputs, strict=True)
        ],
        **({} if by_name else {"inputs_by": "position"}),
    }


def _values(text: object) -> list[Json]:
    found = json.loads(text) if isinstance(text, str) else text
    return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


def _named(values: list[Json], unnamed: str) -> tuple[list[str], bool]:
    """Return a name for each value, and whether they have names of their own."""
    given = [str(one.get("name") or "") for one in values]
    if all(given):
        return [name[:200] for name in given], True
    return [unnamed if len(values) == 1 else f"{unnamed}{number}" for number in range(len(values))], False


def _type(value: Any, depth: int) -> str:
    """Return the type of a column or tensor in a spelling that `regista.wire.type_spellings` reads."""
    kind = value.get("type") if isinstance(value, dict) else value
    if depth > DEEPEST or not isinstance(kind, str):
        return "any"
    text = kind
    if kind == "tensor":
        spec = value.get("tensor-spec") or {}
        shape = ",".join("?" if size == -1 else str(size) for size in spec.get("shape") or [-1])
        text = f"{spec.get('dtype', 'any')}[{shape}]"
    elif kind == "array":
        text = f"list<{_type(value.get('items'), depth + 1)}>"
    elif kind == "map":
        text = f"map<string, {_type(value.get('values'), depth + 1)}>"
    elif kind == "object":
        parts = value.get("properties") or {}
        text = (
            f"struct<{', '.join(f'{name}: {_type(one, depth + 1)}' for name, one in sorted(parts.items()))}>"
        )
    return text if len(text) <= LONGEST_TYPE else "any"
