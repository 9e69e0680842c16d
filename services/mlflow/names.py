"""What MLflow accepts as names, versions, aliases, tags and sources. Other values get MLflow's messages."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Callable, Mapping
from json import dumps
from urllib.parse import parse_qsl, unquote_plus, urlsplit

from regista.wire import limits
from regista.wire.mlflow_names import written
from regista.wire.names import LONGEST_NAME
from regista.wire.secret_parameters import is_secret
from services.mlflow.errors import MlflowError, invalid

RESERVED = "regista."
"""Tags of Regista, which clients read only."""
PROMPT_TEXT = "mlflow.prompt.text"
_ALIAS = re.compile(r"[\w-]*")
_VERSION_ALIAS = re.compile(r"[vV]\d+")
_TAG = re.compile(r"[/\w.\- :]*")
_WITHOUT_USER = frozenset({"http", "https", "git", "git+http", "git+https", "ftp", "ftps"})
"""Schemes where the user of a URL may be a token. With others it is a container, or the user of SSH."""
_ROUNDS = 5
"""How often a source or path may be escaped: more often than clients escape one by mistake."""
_STAGES = {stage.lower(): stage for stage in ("None", "Staging", "Production", "Archived")}
ACTIVE = ("Staging", "Production")


def check_name(name: str, parameter: str = "name") -> str:
    """Return the name of a model. Raises MlflowError."""
    if not name.strip():
        raise invalid(f"Missing value for required parameter '{parameter}'.")
    if len(name) > LONGEST_NAME or len(written(name)) > LONGEST_NAME:
        raise invalid(
            f"The name has at most {LONGEST_NAME} characters, where each character but letters, digits, '_', "
            f"'-' and '.' counts for several: shorten the parameter '{parameter}'."
        )
    if "/" in name or ":" in name:
        raise invalid(f"Invalid model name '{name}'. Names cannot contain '/' or ':'.")
    if _not_unique(name):
        raise invalid(f"Invalid value {dumps(name)} for parameter '{parameter}' supplied: {_bad_path(name)}")
    return name


def check_version(version: str) -> int:
    """Return the number of a version. Raises MlflowError."""
    try:
        number = int(version)
    except ValueError:
        raise invalid(
            f"Parameter 'version' must be an integer, got '{version}'. "
            f"Invalid value {dumps(version)} for parameter 'version' supplied."
        ) from None
    return number if 0 < number < 2**31 else 0


def check_alias(alias: str, *, reserved: bool = True) -> str:
    """Return an alias. Raises MlflowError."""
    if not alias:
        raise invalid("Registered model alias name cannot be empty.")
    if not _ALIAS.fullmatch(alias):
        raise invalid(
            f"Invalid alias name: '{alias}'. Names may only contain alphanumerics, underscores (_), and "
            "dashes (-)."
        )
    if len(alias) > 255:
        raise invalid("'Registered model alias name' exceeds the maximum length of 255 characters")
    if reserved and alias.lower() == "latest":
        raise invalid("'latest' alias name (case insensitive) is reserved.")
    if reserved and _VERSION_ALIAS.fullmatch(alias):
        raise invalid(f"Version alias name '{alias}' is reserved.")
    return alias


def check_tag(key: str) -> str:
    """Return the key of a tag that a client may change. Raises MlflowError."""
    if not key:
        raise invalid("Missing value for required parameter 'key'.")
    if not _TAG.fullmatch(key):
        raise invalid(
            f"Invalid value {dumps(key)} for parameter 'key' supplied: Names may only contain alphanumerics, "
            "underscores (_), dashes (-), periods (.), spaces ( ), colon(:) and slashes (/)."
        )
    if _not_unique(key):
        raise invalid(f"Invalid value {dumps(key)} for parameter 'key' supplied: {_bad_path(key)}")
    if key.startswith(RESERVED):
        raise invalid(f"Tags that begin with '{RESERVED}' are Regista's and are read only: '{key}'.")
    _check_length("key", key, limits.TAG_NAME)
    return key


def check_tags(tags: Mapping[str, str]) -> dict[str, str]:
    """Return tags that can be stored. Raises MlflowError."""
    for key, value in tags.items():
        check_tag(key)
        if key == PROMPT_TEXT and len(value) > limits.TAG_VALUE:
            raise invalid(f"Prompt text exceeds max length of {limits.TAG_VALUE} characters.")
        _check_length("value", value, limits.TAG_VALUE)
    if len(tags) > limits.TAGS:
        raise invalid(f"At most {limits.TAGS} tags are stored, and there are {len(tags)}: leave some out.")
    return dict(tags)


def check_text(name: str, value: str) -> str:
    """Return a description or the like. Raises MlflowError when it is too long to store."""
    _check_length(name, value, limits.TEXT)
    return value


def _check_length(name: str, value: str, most: int) -> None:
    if len(value) > most:
        raise invalid(f"'{name}' exceeds the maximum length of {most} characters")


def stage_of(stage: str) -> str:
    """Return the stage in its usual spelling. Raises MlflowError."""
    if stage.lower() not in _STAGES:
        raise invalid(
            f"Invalid Model Version stage: {stage}. Value must be one of {', '.join(_STAGES.values())}."
        )
    return _STAGES[stage.lower()]


def unescaped(text: str, once: Callable[[str], str]) -> str | None:
    """Return the text without any of its escapes, None when it has too many inside each other."""
    for _ in range(_ROUNDS):
        if (plain := once(text)) == text:
            return plain
        text = plain
    return None


def check_source(source: str) -> str:
    """Return the source of a version. Raises MlflowError for a path that leaves its folder."""
    check_link("source", source)
    plain = unescaped(source, unquote_plus)
    if plain is None:
        raise invalid("The source is escaped more often than can be read: send it as it is.")
    if "\x00" in plain or any(part == ".." for part in plain.replace("\\", "/").split("/")):
        raise invalid(
            f"Invalid model version source: '{source}'. If supplying a source as an http, https, local file "
            "path, ftp, objectstore, or mlflow-artifacts uri, an absolute path must be provided without "
            "relative path references present. Please provide an absolute path."
        )
    return source


def check_link(name: str, link: str) -> str:
    """Return a URL that the log may store. Raises MlflowError for a long one, and for one with a secret."""
    check_text(name, link)
    try:
        parts = urlsplit(link)
        given = parse_qsl(f"{parts.query}&{parts.fragment}".replace(";", "&"))
    except ValueError:
        raise invalid(f"'{name}' is no valid URL: '{link}'.") from None
    if parts.password or (parts.username and parts.scheme in _WITHOUT_USER):
        raise invalid(f"'{name}' has a user or password before the '@': leave it out, the log stores it.")
    if secret := next((key for key, _ in given if is_secret(key)), ""):
        raise invalid(f"'{name}' has the parameter '{secret}', a secret: leave it out, the log stores it.")
    return link


def page_offset(token: str, decoded: object) -> int:
    """Return the offset in a page token that was decoded. Raises MlflowError."""
    offset = decoded.get("offset") if isinstance(decoded, dict) else None
    if not isinstance(offset, int) or isinstance(offset, bool) or not 0 < offset <= 10**9:
        raise MlflowError("INVALID_PARAMETER_VALUE", f"Invalid page token, decoded value={token:.200}")
    return offset


def _not_unique(name: str) -> bool:
    return posixpath.normpath(name) != name or name in {".", ".."} or name.startswith(("../", "/"))


def _bad_path(name: str) -> str:
    return (
        "Names may be treated as files in certain cases, and must not resolve to other names when treated as "
        f"such. This name would resolve to {posixpath.normpath(name)!r}"
    )
