"""MLflow's filter language and orders, as conditions of the registry's searches.

A filter is a list of comparisons with AND between them: `name LIKE 'crm%' AND tags.task = 'churn'`.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from services.mlflow.errors import MlflowError, invalid
from services.mlflow.names import page_offset

LONGEST = 10_000
IS_PROMPT = "mlflow.prompt.is_prompt"
MODEL_FIELDS = ("name",)
VERSION_FIELDS = ("name", "version_number", "run_id", "source_path")
MODEL_ORDERS = {
    "name": "name",
    "timestamp": "last_updated_timestamp",
    "last_updated_timestamp": "last_updated_timestamp",
}
VERSION_ORDERS = {
    name: name for name in ("name", "version_number", "creation_timestamp", "last_updated_timestamp")
}
_NUMERIC, _LISTED = {"version_number"}, ("name", "run_id")
_TEXT_SIGNS = ("=", "!=", "LIKE", "ILIKE")
_NUMBER_SIGNS = ("=", "!=", "<", "<=", ">", ">=")
_NO_VALUES = {"TRUE", "FALSE", "NULL"}
_LIST = "While parsing a list in the query, expected "
_TOKEN = re.compile(
    r"""\s*(?:
    (?P<text>'(?:''|[^'])*'|"[^"]*")
  | (?P<key>(?:[A-Za-z_][\w-]*\.)?`[^`]*`|[A-Za-z_][\w-]*\."[^"]*"|[A-Za-z_][\w.\-/]*)
  | (?P<number>-?\d+(?:\.\d+)?)
  | (?P<sign><=|>=|!=|<>|=|<|>)
  | (?P<other>[(),])
    )""",
    re.VERBOSE,
)


@dataclass(slots=True)
class Filter:
    """Conditions in the form of the registry. `prompts`: prompts are wanted, and nothing else."""

    conditions: list[dict[str, Any]] = field(default_factory=list)
    prompts: bool = False


def parse(text: str, fields: Sequence[str]) -> Filter:
    """Return the conditions of a filter. Raises MlflowError for what MLflow does not accept, either."""
    found = Filter()
    tokens = _tokens(text)
    while tokens:
        _add(found, _comparison(tokens, text, fields))
        if tokens and not (tokens[0][0] == "key" and tokens.pop(0)[1].upper() == "AND" and tokens):
            raise _clause(text)
    return found


def _tokens(text: str) -> list[tuple[str, str]]:
    if len(text) > LONGEST:
        raise invalid(f"The filter has more than {LONGEST} characters: shorten it.")
    found, at = [], 0
    while text[at:].strip():
        if (match := _TOKEN.match(text, at)) is None:
            raise _clause(text[at:])
        found.append((str(match.lastgroup), match[match.lastgroup or 0]))
        at = match.end()
    return found


def _comparison(tokens: list[tuple[str, str]], text: str, fields: Sequence[str]) -> dict[str, Any]:
    """Take one comparison from the tokens."""
    kind, identifier = tokens.pop(0)
    if kind != "key" or not tokens:
        raise _clause(text)
    entity, dot, key = identifier.partition(".")
    is_tag = bool(dot) and entity in {"tag", "tags"}
    if dot and not is_tag and entity != "attribute":
        raise invalid(f"Invalid entity type '{entity}'. Valid entity types are ('attribute', 'tag', 'tags')")
    name = (key if dot else identifier).strip("`\"'")
    sign = _sign(tokens, text)
    if not tokens or (tokens[0][0] == "key" and tokens[0][1].upper() in _NO_VALUES):
        raise _clause(text)
    if not name:
        raise invalid(f"A tag without a name: {text:.300}. Write tags.`name`.")
    if not is_tag and name not in fields:
        raise invalid(f"Invalid attribute key '{name}' specified. Valid keys are '{set(fields)}'")
    values = _values(tokens, text, sign)
    _check(name, sign, values, is_tag=is_tag)
    if name in _NUMERIC and not is_tag and values[0][1].startswith("-"):
        values = [("number", "0")]  # it compares with numbers of versions as any negative number does
    tag = {"tag": name} if is_tag else {}
    return {"field": "name" if is_tag else name} | tag | _compared(sign, values)


def _compared(sign: str, values: Sequence[tuple[str, str]]) -> dict[str, Any]:
    return {"comparison": sign, "values": [value for _, value in values]}


def _sign(tokens: list[tuple[str, str]], text: str) -> str:
    kind, sign = tokens.pop(0)
    sign = sign.upper()
    if kind == "key" and sign == "NOT" and tokens and tokens[0][1].upper() == "IN":
        tokens.pop(0)
        return "NOT IN"
    if kind == "sign" or (kind == "key" and sign in {"LIKE", "ILIKE", "IN"}):
        return "!=" if sign == "<>" else sign
    raise _clause(text)


def _values(tokens: list[tuple[str, str]], text: str, sign: str) -> list[tuple[str, str]]:
    """Take the value, or the values of a list. Each has its kind: `text` or `number`."""
    if sign in {"IN", "NOT IN"}:
        return _list(tokens, text)
    kind, value = tokens.pop(0)
    if kind == "text":
        return [(kind, value[1:-1])]
    if kind == "number":
        return [(kind, value)]
    raise invalid(
        "Parameter value is either not quoted or unidentified quote types used for string value "
        f"{value}. Use either single or double quotes."
    )


def _list(tokens: list[tuple[str, str]], text: str) -> list[tuple[str, str]]:
    """Take a list of texts in parentheses."""
    end = next((at for at, (_, value) in enumerate(tokens) if value == ")"), 0)
    if tokens[0][1] != "(" or not end:
        raise _clause(text)
    items = tokens[1:end]
    del tokens[: end + 1]
    if not items:
        raise invalid(f"{_LIST}a non-empty list of string values, but got empty list")
    if any(kind != "text" and value != "," for kind, value in items):
        shown = " ".join(value for _, value in items)
        raise invalid(
            f"{_LIST}string value, punctuation, or whitespace, but got different type in list: ({shown})"
        )
    texts = [(kind, value[1:-1]) for kind, value in items[::2] if kind == "text"]
    commas = [value for _, value in items[1::2] if value == ","]
    if len(texts) != (len(items) + 1) // 2 or len(commas) != len(items) // 2:
        raise invalid(f"{_LIST}a non-empty list of string values, but got ill-formed list.")
    return texts


def _check(name: str, sign: str, values: Sequence[tuple[str, str]], *, is_tag: bool) -> None:
    if is_tag and sign not in _TEXT_SIGNS:
        raise invalid(f"Invalid comparator for tag: {sign}")
    if sign in {"IN", "NOT IN"} and name not in _LISTED:
        raise invalid(
            f"Only {list(_LISTED)} attributes support comparison with a list of quoted string values."
        )
    if not is_tag and name in _NUMERIC:
        if sign not in _NUMBER_SIGNS:
            raise invalid(f"Invalid comparator for attribute {name}: {sign}")
        digits = values[0][1].removeprefix("-")
        if not (digits.isascii() and digits.isdecimal() and len(digits) < 19):
            raise invalid(f"Invalid value for numeric attribute '{name}': {values[0][1]}")
        return
    if sign not in {*_TEXT_SIGNS, "IN", "NOT IN"}:
        raise invalid(f"Invalid comparator for attribute: {sign}")
    if any(kind != "text" for kind, _ in values):
        what = "for tag (e.g. 'my-value')" if is_tag else "or a list of quoted string values for attributes"
        raise invalid(f"Expected a quoted string value {what}. Got value {values[0][1]}")


def _add(found: Filter, condition: dict[str, Any]) -> None:
    """Add a condition. Models that are no prompts have no tag that states it."""
    if condition.get("tag") != IS_PROMPT:
        found.conditions.append(condition)
        return
    sign, value = condition["comparison"], condition["values"][0].lower()
    found.prompts = (sign, value) in {("=", "true"), ("!=", "false")}


def _clause(text: str) -> MlflowError:
    return invalid(f"Invalid clause(s) in filter string: {text:.300}")


def orders(given: Sequence[str], known: Mapping[str, str]) -> list[dict[str, Any]]:
    """Return the orders of a search, such as `name ASC`. Raises MlflowError."""
    what = "attribute" if "version_number" in known else "order by"  # MLflow names it differently
    found: list[dict[str, Any]] = []
    for clause in given:
        words = clause.replace("`", "").replace('"', "").split()
        if not words or len(words) > 2:
            raise invalid(f"Invalid order_by clause '{clause}'. Could not be parsed.")
        if len(words) == 2 and words[1].lower() not in {"asc", "desc"}:
            raise invalid(f"Invalid ordering key in order_by clause '{clause}'.")
        name = words[0].removeprefix("attribute.")
        if name not in known:
            raise invalid(f"Invalid {what} key '{name}' specified. Valid keys are '{set(known)}'")
        if any(order["field"] == known[name] for order in found):
            raise invalid(f"`order_by` contains duplicate fields: {list(given)}")
        found.append({"field": known[name], "descending": len(words) == 2 and words[1].lower() == "desc"})
    return found


def token_of(offset: int) -> str:
    """Return the token of the page that begins at this offset."""
    return base64.b64encode(msgspec.json.encode({"offset": offset})).decode()


def offset_of(token: str) -> int:
    """Return where a page begins, 0 without a token. Raises MlflowError."""
    if not token:
        return 0
    try:
        return page_offset(token, msgspec.json.decode(base64.b64decode(token, validate=True)))
    except (binascii.Error, ValueError, msgspec.MsgspecError):
        raise invalid("Invalid page token, could not base64-decode") from None
