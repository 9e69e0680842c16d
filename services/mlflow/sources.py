"""What the source of a version names: a version of this registry, a run, a folder of the artifact proxy."""

from __future__ import annotations

import re
from dataclasses import dataclass
from urllib.parse import unquote, urlsplit

from services.mlflow.errors import MlflowError, invalid

_PROXY = re.compile(r"(?:^|/)(?:ajax-)?api/2\.0/mlflow-artifacts/artifacts/(.*)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class ModelUri:
    """`models:/name/version`, `models:/name/stage`, `models:/name@alias` or `models:/name/latest`."""

    text: str
    name: str
    version: str = ""
    stage: str = ""
    alias: str = ""


def model_uri(source: str) -> ModelUri | None:
    """Return the version of this registry that the source names.

    None for another source, and for `models:/<id>`, a model of a run. Raises MlflowError for a wrong URI.
    """
    if not source.startswith("models:"):
        return None
    path = source.removeprefix("models:")
    parts = path.lstrip("/").split("/")
    if path.startswith("//") or not path.startswith("/") or len(parts) > 2 or not parts[0].strip():
        raise _wrong(source)
    if len(parts) == 2:
        name, suffix = parts
        if not suffix.strip():
            raise _wrong(source)
        if suffix.isascii() and suffix.isdecimal():
            return ModelUri(source, name, version=suffix)
        return ModelUri(source, name, stage="" if suffix.lower() == "latest" else suffix)
    name, at, alias = parts[0].rpartition("@")
    if not at:
        return None
    if not name or not alias:
        raise _wrong(source)
    return ModelUri(source, name, alias=alias)


def _wrong(source: str) -> MlflowError:
    return invalid(
        f"Invalid model version source: '{source}'. Models URIs must be of the form 'models:/name/suffix' or "
        "'models:/name@alias'."
    )


def proxy_path(source: str) -> str | None:
    """Return the path in the artifact proxy that the source names, None for a source elsewhere."""
    try:
        parts = urlsplit(source)
    except ValueError:  # a publisher's, which is stored as it was given
        return None
    if parts.scheme == "mlflow-artifacts":
        return unquote(parts.path).strip("/")
    found = _PROXY.search(parts.path) if parts.scheme in {"http", "https"} else None
    return unquote(found[1]).strip("/") if found else None
