"""Read an MLmodel file: schema, framework, Python, time. It states them as YAML with JSON inside.

Needs PyYAML: the extra `import`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from regista.wire import limits

NAME = "MLmodel"
MOST_BYTES = 1 << 20
"""Bytes of a file that is read: a schema of 10,000 columns has fewer."""
GENERIC = "python_function"
"""The flavor with which MLflow loads any other one."""
GENERAL = frozenset({GENERIC, "mleap", "crate", "rpc"})
"""Flavors that models of many frameworks have."""
DEEPEST = 15


@dataclass(frozen=True, slots=True)
class MLmodel:
    """What an MLmodel file states. `schema` is None without a usable one; `problem`: why not, or "".

    `flavors` has the version that each flavor states, "" for none. `created` is the time in RFC 3339, or "".
    """

    schema: dict[str, Any] | None = None
    flavors: Mapping[str, str] = field(default_factory=dict)
    python: str = ""
    mlflow: str = ""
    created: str = ""
    problem: str = ""

    @property
    def framework(self) -> dict[str, str] | None:
        """The first flavor that one framework has; None when there is none."""
        for name, version in self.flavors.items():
            if name and name not in GENERAL:
                return {"name": name[: limits.NAME], "version": version[: limits.LABEL]}
        return None


def read(raw: bytes) -> MLmodel:
    """Return what the file states. A file that cannot be read has a `problem`.

    Raises ImportError without PyYAML.
    """
    from regista.wire import bounded_yaml  # noqa: PLC0415 - the extra `import`

    try:
        found = bounded_yaml.load(raw)
    except bounded_yaml.ERRORS as e:
        why = str(e) if isinstance(e, bounded_yaml.TooMuch) else type(e).__name__
        return MLmodel(problem=f"MLmodel cannot be read: {why}")
    if not isinstance(found, dict):
        return MLmodel(problem="MLmodel is no mapping")
    flavors = {str(n): _version(v) for n, v in _mapping(found.get("flavors")).items()}
    generic = _mapping(_mapping(found.get("flavors")).get(GENERIC))
    signature = _mapping(found.get("signature"))
    schema, problem = _schema(signature) if signature else (None, "MLmodel has no signature")
    return MLmodel(
        schema,
        flavors,
        _text(generic.get("python_version")),
        _text(found.get("mlflow_version")),
        _time(found.get("utc_time_created")),
        problem,
    )


def _mapping(value: Any) -> Mapping[Any, Any]:
    return value if isinstance(value, dict) else {}


def _version(flavor: Any) -> str:
    """Return the version in a flavor's fields, such as `sklearn_version` or `xgb_version`."""
    stated = _mapping(flavor)
    named = (v for k, v in stated.items() if str(k).endswith("_version") and k != "python_version")
    return _text(next(named, ""))


def _text(value: Any) -> str:
    return str(value) if isinstance(value, str | int | float) and value else ""


def _time(value: Any) -> str:
    """Return a time, which MLflow writes without its zone: UTC."""
    try:
        moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        return moment.replace(tzinfo=moment.tzinfo or UTC).isoformat()
    except (TypeError, ValueError, OverflowError):
        return ""


def _schema(signature: Mapping[Any, Any]) -> tuple[dict[str, Any] | None, str]:
    """Return ModelTrained's `signature`, or None and why."""
    schema: dict[str, Any] = {}
    for side in ("inputs", "outputs"):
        stated = signature.get(side)
        try:
            columns = json.loads(stated) if isinstance(stated, str) else stated or []
            ports, by = _ports(columns, side)
        except (ValueError, TypeError, KeyError, AttributeError, OverflowError, RecursionError) as e:
            return None, f"the {side} of the signature cannot be read: {type(e).__name__}"
        most = limits.FEATURES if side == "inputs" else limits.OUTPUTS
        if len(ports) > most:
            return None, f"the signature has {len(ports):,} {side}; at most {most:,} are allowed"
        if len({port["name"] for port in ports}) < len(ports):
            return None, f"two {side} of the signature have one name"
        if any(not 0 < len(port[part]) <= limits.NAME for port in ports for part in ("name", "type")):
            return None, f"a name or type among the {side} of the signature is longer than {limits.NAME}"
        schema[side] = ports
        if ports:
            schema[f"{side}_by"] = by
    return schema, ""


def _ports(columns: Any, side: str) -> tuple[list[dict[str, Any]], str]:
    """Return inputs or outputs, and how callers address them: unnamed ones by position."""
    if not isinstance(columns, Sequence):
        raise TypeError("no list of columns")
    named = all(column.get("name") for column in columns)
    one = side.removesuffix("s")
    ports = []
    for n, column in enumerate(columns):
        name = str(column["name"]) if named else one if len(columns) == 1 else f"{one}_{n}"
        port: dict[str, Any] = {"name": name, "type": type_of(column)}
        if side == "inputs" and column.get("required") is False:
            port["required"] = False
        ports.append(port)
    return ports, "name" if named else "position"


def type_of(spec: Mapping[str, Any], depth: int = 0) -> str:
    """Return the type of a column, in a form that `regista.wire.type_spellings` reads.

    Raises KeyError and TypeError for a form that MLflow does not write.
    """
    kind = spec["type"]
    if depth > DEEPEST:
        return str(kind)
    if kind == "tensor":
        tensor = spec["tensor-spec"]
        shape = ",".join("?" if size == -1 else str(int(size)) for size in tensor["shape"])
        return f"{tensor['dtype']}[{shape}]"
    if kind == "array":
        return f"list<{type_of(spec['items'], depth + 1)}>"
    if kind == "map":
        return f"map<string, {type_of(spec['values'], depth + 1)}>"
    if kind == "object":
        parts = (
            f"{name}: {type_of(part, depth + 1)}{'?' if part.get('required') is False else ''}"
            for name, part in spec["properties"].items()
        )
        return f"struct<{', '.join(parts)}>"
    if not isinstance(kind, str):
        raise TypeError("a type is no text")
    return kind
