"""Write the types of requests and answers of the client, from the OpenAPI documents of the services."""

from __future__ import annotations

import keyword
import re
import textwrap
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

EVERY_SERVICE = "every_service"
"""The module of the shapes that all services have."""
Schemas = Mapping[str, Mapping[str, Any]]
_PLAIN = {
    "string": "str",
    "integer": "int",
    "number": "float",
    "boolean": "bool",
    "null": "None",
}


def modules(documents: Mapping[str, Mapping[str, Any]]) -> Iterator[tuple[str, str]]:
    """Yield (module name, Python text) for each service, and for what all of them have.

    `documents` are the OpenAPI documents by the name of the service.
    """
    schemas = {service: _schemas(document) for service, document in documents.items()}
    first, *others = schemas.values()
    shared = {name: one for name, one in first.items() if all(other.get(name) == one for other in others)}
    yield (
        EVERY_SERVICE,
        _module(f"Shapes of requests and answers that {len(schemas)} services have.", shared, {}),
    )
    for service, all_of_it in schemas.items():
        own = {name: one for name, one in all_of_it.items() if name not in shared}
        yield service, _module(f"Shapes of requests to {service}, and of its answers.", own, shared)


def _answered(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return the schemas with a title that stand in an answer itself."""
    responses = (
        response
        for operations in document["paths"].values()
        for operation in operations.values()
        if isinstance(operation, dict)
        for response in operation.get("responses", {}).values()
    )
    found = (one.get("content", {}).get("application/json", {}).get("schema", {}) for one in responses)
    return {schema["title"]: schema for schema in found if "title" in schema}


def _schemas(document: Mapping[str, Any]) -> Schemas:
    found = _answered(document) | document["components"]["schemas"]
    return {_name(name): schema for name, schema in found.items()}


def _name(name: str) -> str:
    """Return a class name: pydantic writes `Policy-Input` where requests and answers differ."""
    return "".join(part[:1].upper() + part[1:] for part in re.split(r"\W", name))


def _module(title: str, own: Schemas, elsewhere: Schemas) -> str:
    classes = [_class(name, own[name]) for name in sorted(own)]
    body = "\n\n\n".join(classes)
    names = [
        name for name in ("Any", "Literal", "NotRequired", "TypedDict") if re.search(rf"\b{name}\b", body)
    ]
    imported = sorted(name for name in elsewhere if re.search(rf"\b{name}\b", body))
    head = [
        f'"""{title}\n\n`python -m tools.contracts` writes this file.\n"""',
        "from __future__ import annotations",
    ]
    head.append(f"from typing import {', '.join(names)}")
    if imported:
        head.append(f"from regista.shapes.{EVERY_SERVICE} import {', '.join(imported)}")
    return "\n\n".join(head) + "\n\n\n" + body + "\n"


def _class(name: str, schema: Mapping[str, Any]) -> str:
    if schema.get("type") != "object" or not schema.get("properties"):
        return f"{name} = {_type(schema)}"
    fields = list(_fields(schema))
    if all(field.isidentifier() and not keyword.iskeyword(field) for field, _ in fields):
        lines = [f"    {field}: {type_}" for field, type_ in fields]
        return "\n".join([f"class {name}(TypedDict):", *_docstring(schema), *lines])
    lines = [f'    "{field}": {type_},' for field, type_ in fields]
    return "\n".join([f'{name} = TypedDict("{name}", {{', *lines, "})"])


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    required = set(schema.get("required", ()))
    for name, one in schema["properties"].items():
        yield name, _type(one) if name in required else f"NotRequired[{_type(one)}]"


def _docstring(schema: Mapping[str, Any]) -> Iterable[str]:
    text = str(schema.get("description", "")).strip().replace("\\", "\\\\")
    if not text:
        return []
    first, *rest = text.split("\n\n")
    paragraphs = [" ".join(first.split()), *rest]
    wrapped = "\n\n".join("\n".join(textwrap.wrap(" ".join(p.split()), 100)) for p in paragraphs)
    end = "\n" if "\n" in wrapped else ""
    return [textwrap.indent(f'"""{wrapped}{end}', "    ") + ('    """' if end else '"""'), ""]


def _type(schema: Any) -> str:
    match schema:
        case {"$ref": str(reference)}:
            return _name(reference.rpartition("/")[2])
        case {"anyOf": [*options]} | {"oneOf": [*options]}:
            return " | ".join(dict.fromkeys(_type(option) for option in options))
        case {"enum": [*values]}:
            return f"Literal[{', '.join(repr(value) for value in values)}]"
        case {"const": value}:
            return f"Literal[{value!r}]"
        case {"type": [*types]}:
            return " | ".join(_type({**schema, "type": one}) for one in types)
        case {"type": "array"}:
            return f"list[{_type(schema.get('items', {}))}]"
        case {"type": "object", "additionalProperties": dict(values)}:
            return f"dict[str, {_type(values)}]"
        case {"type": "object"}:
            return "dict[str, Any]"
        case {"type": str(plain)}:
            return _PLAIN[plain]
    return "Any"
