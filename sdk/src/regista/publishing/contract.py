"""Check ModelTrained's data before anything is sent, against the schema that the registry publishes.

`ModelTrained.v1.json` beside this file is a copy of the public schema; `python -m tools.contracts` writes
both.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from importlib.resources import files
from typing import Annotated, Any

import msgspec

from regista.errors import Invalid, Problem, Refused, TooLarge
from regista.wire import limits
from regista.wire.contradictions import of_metrics, of_parent, of_parents, of_schema
from regista.wire.forms import rule_of
from regista.wire.mandatory import missing_fields, problem_of_missing

MOST_SHOWN = 20
_Time = Annotated[datetime, msgspec.Meta(tz=True)]


def check_publication(data: Mapping[str, Any], *, creator_known: bool = False) -> None:
    """Raise Refused with every problem of a publication, before its artifact is uploaded. Raises TooLarge.

    `creator_known`: the service names the creator when the data do not, as over HTTP.
    """
    complete = dict(data)
    if creator_known:
        complete["training"] = {"creator": "the caller", **(complete.get("training") or {})}
    kind = str(complete.get("kind") or "model")
    missing = [Problem(name, problem_of_missing(name, kind)) for name in missing_fields(complete)]
    if problems := [*_problems(data), *missing] or _contradictions(data):
        named = [Problem(argument_of(one.field), one.problem) for one in problems]
        raise Refused(str(data.get("model", "")), named)
    encode(data)


def argument_of(field: str) -> str:
    """Return the name that `publish` has for a field of ModelTrained whose name is another one."""
    return "compare_with" if field == "base" else field


def _contradictions(data: Mapping[str, Any]) -> list[Problem]:
    """Return what contradicts itself in data of the right form."""
    plain = msgspec.to_builtins(data)
    training, signature = plain.get("training") or {}, plain.get("signature") or {}
    metrics = training.get("metrics") or ()
    parents = plain.get("parents") or ()
    found = (
        *of_metrics(
            [(_key(m, "name", "dataset_digest", "definition"), bool(m.get("primary"))) for m in metrics]
        ),
        *of_schema(
            [(one["name"], one["type"]) for one in signature.get("inputs") or ()],
            [one["name"] for one in signature.get("outputs") or ()],
            signature.get("columns") or {},
        ),
        *of_parents([_key(one, "model", "number", "digest") for one in parents]),
        *itertools.chain.from_iterable(
            of_parent(n, one["model"], one.get("number"), one.get("digest")) for n, one in enumerate(parents)
        ),
    )
    return [Problem(*one) for one in found]


def _key(one: Mapping[str, Any], *names: str) -> tuple[Any, ...]:
    return tuple(one.get(name) for name in names)


def check_message(data: Mapping[str, Any]) -> bytes:
    """Return the bytes of a message.

    Raises Refused for one that the registry could not read, TooLarge, and Invalid.
    """
    if problems := _problems(data):
        raise Refused(str(data.get("model", "")), problems)
    return encode(data)


def encode(data: Mapping[str, Any]) -> bytes:
    """Return the data as JSON. Raises TooLarge and Invalid."""
    try:
        raw = msgspec.json.encode(data)
    except UnicodeError as e:
        raise Invalid("not_exact", f"a text cannot be sent: {e}", advice="Replace the text.") from None
    if b"\\u0000" in raw:
        detail = "a text has the character NUL, which cannot be stored"
        raise Invalid("not_exact", detail, advice="Remove the character.")
    if len(raw) > limits.DATA_BYTES:
        sizes = {name: len(msgspec.json.encode(value)) for name, value in data.items()}
        largest = max(sizes, key=lambda name: sizes[name])
        raise TooLarge(
            "message_too_large",
            f"the data have {len(raw):,} bytes, {sizes[largest]:,} of them in `{largest}`; "
            f"at most {limits.DATA_BYTES:,} are accepted",
            advice="Shorten this part, or put it into the artifact as a file.",
        )
    return raw


def _problems(data: Mapping[str, Any]) -> list[Problem]:
    """Return what is wrong with the form of the data: at most MOST_SHOWN problems."""
    plain = msgspec.to_builtins(data)
    errors = (e for e in _validator().iter_errors(plain) if "allOf" not in e.absolute_schema_path)
    found = itertools.chain(itertools.chain.from_iterable(map(_leaves, errors)), _too_deep(plain))
    return [Problem(*one) for one in itertools.islice(found, MOST_SHOWN)]


@functools.cache
def _validator() -> Any:
    from jsonschema import Draft202012Validator, FormatChecker  # noqa: PLC0415 - 0.2 s that `regista --help` saves

    times = FormatChecker(formats=())
    times.checks("date-time", raises=msgspec.ValidationError)(
        lambda text: not isinstance(text, str) or bool(msgspec.convert(text, _Time))
    )
    schema = msgspec.json.decode(files(__package__).joinpath("ModelTrained.v1.json").read_bytes())
    return Draft202012Validator(schema, format_checker=times)


def _leaves(error: Any) -> Iterator[tuple[str, str]]:
    """Yield field and problem of an error; those of the alternative that was meant, for an `anyOf`."""
    path = ".".join(str(part) for part in error.absolute_path)
    if error.validator != "anyOf":
        for name in _names(error):
            yield ".".join(filter(None, (path, name))), _problem(error)
        return
    by_branch = itertools.groupby(error.context, lambda e: e.schema_path[0])
    branches = [list(branch) for _, branch in by_branch]
    of_type = [b for b in branches if not any(e.validator == "type" and not e.path for e in b)]
    if of_type:
        for inner in min(of_type, key=len):
            yield from _leaves(inner)
    else:
        types = [e.validator_value for b in branches for e in b if e.validator == "type"]
        yield path, f"must be of type {' or '.join(one for one in types if one != 'null')}"


def _names(error: Any) -> list[str]:
    """Return the names below the path of the error that it is about; [""] when it is about the path."""
    if error.validator == "required":
        return [str(error.message).split("'")[1]]
    if error.validator == "additionalProperties":
        known = error.schema.get("properties", {})
        return [str(name) for name in error.instance if name not in known]
    return [""]


def _problem(error: Any) -> str:
    """Return the problem without the value, which may be long."""
    wanted = error.validator_value
    match error.validator:
        case "required":
            return "missing"
        case "additionalProperties":
            known = ", ".join(error.schema.get("properties", {}))
            return f"no such field; there are {known}"
        case "type":
            return f"must be of type {wanted}"
        case "maxItems" | "maxProperties":
            return f"has {len(error.instance):,} entries; at most {wanted:,} are allowed"
        case "maxLength":
            return f"has {len(error.instance):,} characters; at most {wanted:,} are allowed"
        case "minLength" | "minItems":
            return "is empty"
        case "maximum":
            return f"may be {wanted:,} at most"
        case "minimum":
            return f"must be {wanted:,} at least"
        case "enum":
            return f"must be one of {', '.join(map(str, wanted))}"
        case "pattern":
            return f"{error.instance!r:.80} must be {rule_of(wanted)}"
        case "format":
            return f"{error.instance!r:.80} is no time with a zone: write it as 2026-01-31T12:00:00Z"
        case _:
            return str(error.message)[:200]


def _too_deep(data: Mapping[str, Any]) -> Iterable[tuple[str, str]]:
    training = data.get("training")
    if isinstance(training, dict):
        for name in ("config", "environment"):
            if _deeper_than(training.get(name), limits.DEPTH):
                yield f"training.{name}", f"nested deeper than {limits.DEPTH} levels"


def _deeper_than(value: Any, levels: int) -> bool:
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else None
    return inner is not None and (levels < 0 or any(_deeper_than(one, levels - 1) for one in inner))
