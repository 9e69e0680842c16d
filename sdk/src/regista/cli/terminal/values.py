"""Values that commands read: `NAME=VALUE` arguments, JSON files, policy files."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import click


def pairs(values: Iterable[str], what: str, form: str = "NAME=VALUE") -> dict[str, str]:
    """Return `NAME=VALUE` arguments as a dictionary. Raises click.BadParameter, which shows `form`."""
    found = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{value!r} is not a {what}: write {form}")
        found[name] = text
    return found


def read_json(raw: bytes, option: str) -> dict[str, Any]:
    """Return a JSON object. Raises click.BadParameter."""
    try:
        found = json.loads(raw)
    except ValueError as e:
        raise click.BadParameter(f"{option} is not JSON: {e}") from None
    if not isinstance(found, dict):
        raise click.BadParameter(f"{option} is not a JSON object")
    return found


def read_policy(file: Path) -> dict[str, Any]:
    """Return the policy in a file (JSON, YAML), or in what `policy show` printed. Raise click.UsageError."""
    try:
        raw = file.read_text("utf-8")
    except UnicodeDecodeError as e:
        raise click.UsageError(f"{file} is not text in UTF-8: {e}") from None
    content = _yaml(raw, file) if file.suffix in {".yaml", ".yml"} else _json(raw, file)
    if not isinstance(content, dict):
        raise click.UsageError(f"{file} is not a policy: it must be an object")
    shown = content.get("policy")  # the answer of `policy show -o json`, or of the same as YAML
    return shown if isinstance(shown, dict) and "stages" not in content else content


def _json(raw: str, file: Path) -> Any:
    try:
        return json.loads(raw)
    except ValueError as e:
        raise click.UsageError(f"{file} is not JSON: {e}") from None


def _yaml(raw: str, file: Path) -> Any:
    try:
        import yaml  # noqa: PLC0415 - no dependency of the client
    except ImportError:
        raise click.UsageError(
            "YAML needs PyYAML: `pip install pyyaml`, or write the policy as JSON"
        ) from None
    try:
        return yaml.safe_load(raw)
    except yaml.YAMLError as e:
        raise click.UsageError(f"{file} is not YAML: {e}") from None
