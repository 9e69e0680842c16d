"""Request bodies: read within a limit, decode by pydantic or msgspec, refuse with the names of the fields."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any

import msgspec
from pydantic import BaseModel, ValidationError
from starlette.requests import Request

from shared.deciding.events import NUL, storable
from shared.foundation.shape_errors import in_words
from shared.http.problems import Problem, of_shape
from shared.http.routes import Route

Read = Callable[[bytes], Any]
"""Decodes the bytes of a body. Raises Problem 422."""

_PATH = re.compile(r"^(?P<problem>.*?)(?: - at `\$(?P<path>.*)`)?$", re.DOTALL)


def reader(route: Route) -> Read | None:
    """Return what decodes the bodies of `route`; None for a route without a body.

    Raises TypeError when the type of the body accepts unknown fields.
    """
    body = route.body
    if body is None:
        return None
    where = f"{route.method} {route.path}"
    if issubclass(body, msgspec.Struct):
        if loose := next(_loose(msgspec.inspect.type_info(body)), None):
            remedy = "make it a msgspec.Struct with forbid_unknown_fields=True"
            msg = f"{where}: {loose} must forbid unknown fields ({remedy})"
            raise TypeError(msg)
        return _struct_reader(body, route.contract)
    if body.model_config.get("extra") != "forbid":
        msg = f"{where}: {body.__name__} must forbid unknown fields (derive it from shared.http.routes.Body)"
        raise TypeError(msg)
    return lambda raw: _by_model(body, raw)


def _loose(type_: msgspec.inspect.Type) -> Iterator[str]:
    """Yield the names of classes inside `type_` that accept unknown fields."""
    seen: set[type] = set()
    todo: list[Any] = [type_]
    while todo:
        match todo.pop():
            case msgspec.inspect.StructType() as struct:
                if struct.cls in seen:
                    continue
                seen.add(struct.cls)
                if not struct.forbid_unknown_fields:
                    yield struct.cls.__name__
                todo += [field.type for field in struct.fields]
            case msgspec.inspect.DataclassType() | msgspec.inspect.TypedDictType() as class_:
                yield class_.cls.__name__
            case msgspec.inspect.UnionType() as union:
                todo += union.types
            case msgspec.inspect.Metadata() as annotated:
                todo.append(annotated.type)
            case msgspec.inspect.DictType() as mapping:
                todo += [mapping.key_type, mapping.value_type]
            case msgspec.inspect.TupleType() as fixed:
                todo += fixed.item_types
            case msgspec.inspect.CollectionType() as items:
                todo.append(items.item_type)
            case _:
                pass


def _struct_reader(struct: type[msgspec.Struct], contract: type[BaseModel] | None) -> Read:
    decode = msgspec.json.Decoder(struct).decode

    def read(raw: bytes) -> Any:
        try:
            return decode(_without_nul(raw) or b"{}")
        except msgspec.ValidationError as wrong:
            if contract is not None:
                _by_model(contract, raw)  # raises with every error
            raise of_struct(wrong) from wrong
        except (ValueError, RecursionError) as wrong:
            raise _no_json(wrong) from wrong

    return read


def _without_nul(raw: bytes) -> bytes:
    if NUL in raw:
        raise ValueError("a text holds the character NUL")
    return raw


def of_struct(wrong: msgspec.ValidationError) -> Problem:
    """Return 422 with the error that msgspec found first, in the form of `of_shape`."""
    match = _PATH.match(str(wrong))
    problem, path = (match["problem"], match["path"] or "") if match else (str(wrong), "")
    field = path.replace("[", ".").replace("]", "").strip(".") or "body"
    if unknown := re.fullmatch(r"Object contains unknown field `(.+)`", problem):
        field, problem, kind = _under(field, unknown[1]), "Extra inputs are not permitted", "extra_forbidden"
    elif missing := re.fullmatch(r"Object missing required field `(.+)`", problem):
        field, problem, kind = _under(field, missing[1]), "Field required", "missing"
    else:
        problem, kind = in_words(problem), "invalid"
    errors = [{"field": field, "problem": problem, "kind": kind}]
    return Problem(422, "invalid_body", f"Correct the body and repeat: {field}: {problem}", errors=errors)


def _under(parent: str, name: str) -> str:
    return name if parent == "body" else f"{parent}.{name}"


def _by_model(model: type[BaseModel], raw: bytes) -> BaseModel:
    try:
        storable(raw or b"{}")
        return model.model_validate_json(raw or b"{}")
    except ValidationError as wrong:
        raise of_shape(wrong, "body") from wrong
    except ValueError as wrong:
        raise _no_json(wrong) from wrong


def _no_json(wrong: Exception) -> Problem:
    return Problem(422, "invalid_body", f"The body is no JSON that can be kept: {wrong}.")


async def read_within(request: Request, limit: int) -> bytes:
    """Return the body's bytes.

    Raises Problem 415 when it is no JSON and 413 when it is longer than `limit` bytes.
    """
    kind = request.headers.get("content-type", "application/json")
    if "json" not in kind:
        raise Problem(415, "not_json", f"Send the body as application/json, not {kind[:80]}.")
    coding = request.headers.get("content-encoding", "identity").strip().lower()
    if coding != "identity":
        raise Problem(415, "compressed", f"Send the body without Content-Encoding, not as {coding:.40}.")
    too_large = Problem(
        413,
        "body_too_large",
        f"The body may have {limit} bytes. Artifacts are uploaded, not embedded.",
        limit=limit,
    )
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limit:
        raise too_large
    pieces: list[bytes] = []
    size = 0
    async for piece in request.stream():
        size += len(piece)
        if size > limit:
            raise too_large
        pieces.append(piece)
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)
