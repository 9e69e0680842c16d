"""Read the settings of the client: environment variables, then ~/.config/regista/config.toml."""

from __future__ import annotations

import logging
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from regista.errors import NotConfigured

_LOG = logging.getLogger("regista")
_FIELDS = {
    "url": "REGISTA_URL",
    "api_key": "REGISTA_API_KEY",
    "key_file": "REGISTA_KEY_FILE",
    "creator": "REGISTA_CREATOR",
    "cache_dir": "REGISTA_CACHE_DIR",
    "usage_window": "REGISTA_USAGE_WINDOW",
    "ca_file": "REGISTA_CA_FILE",
    "kafka_bootstrap": "REGISTA_KAFKA_BOOTSTRAP",
    "kafka_user": "REGISTA_KAFKA_USER",
    "kafka_password": "REGISTA_KAFKA_PASSWORD",
    "kafka_security": "REGISTA_KAFKA_SECURITY",
    "kafka_mechanism": "REGISTA_KAFKA_MECHANISM",
    "kafka_ca_file": "REGISTA_KAFKA_CA_FILE",
    "kafka_namespace": "REGISTA_KAFKA_NAMESPACE",
}


@dataclass(frozen=True, slots=True)
class Profile:
    """The addresses and credentials of a caller.

    `url` is the registry's; the client finds the other services from it. `usage_window` is in seconds; 0
    turns usage reports off. `ca_file` has certificates of a private authority, in addition to the machine's.
    Without an `api_key`, the client uses the sign-in of `regista login` under the same `name` and `url`;
    `name` is that of the profile in the file, "" without one.
    """

    url: str = ""
    api_key: str = field(default="", repr=False)
    key_file: str = ""
    creator: str = ""
    cache_dir: str = ""
    usage_window: float = 60.0
    ca_file: str = ""
    kafka_bootstrap: str = ""
    kafka_user: str = ""
    kafka_password: str = field(default="", repr=False)
    kafka_security: str = ""
    kafka_mechanism: str = "SCRAM-SHA-512"
    kafka_ca_file: str = ""
    kafka_namespace: str = ""
    name: str = ""

    def topic(self, topic: str) -> str:
        """Return the topic to write to: that of the namespace to which the Kafka user is bound, if any."""
        return f"{topic}.{self.kafka_namespace}" if self.kafka_namespace else topic

    def need(self, name: str) -> str:
        """Return a setting. Raises NotConfigured with its variable when it is empty."""
        if value := getattr(self, name):
            return str(value)
        raise NotConfigured("not_configured", f"{_FIELDS[name]} is not set (or `{name}` in {config_file()})")

    @property
    def cache(self) -> Path:
        """The folder of downloaded artifacts."""
        if self.cache_dir:
            return Path(self.cache_dir).expanduser()
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "regista"


def config_file(environment: Mapping[str, str] = os.environ) -> Path:
    """Return `REGISTA_CONFIG`, else `regista/config.toml` in the user's configuration folder."""
    if named := environment.get("REGISTA_CONFIG"):
        return Path(named)
    return Path(environment.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "regista" / "config.toml"


def read_profile(name: str = "", environment: Mapping[str, str] = os.environ) -> Profile:
    """Return the profile `name` (else `REGISTA_PROFILE`, else the file's `default`).

    Environment variables override the file; a warning names those that replace the key or the URL of a
    profile that was asked for by `name`. Raises NotConfigured.
    """
    settings = _from_file(name or environment.get("REGISTA_PROFILE", ""), environment)
    in_file = dict(settings) if name else {}
    for setting, variable in _FIELDS.items():
        if variable in environment:
            settings[setting] = environment[variable]
        elif f"{variable}_FILE" in environment and not setting.endswith("_file"):
            settings[setting] = _secret(Path(environment[f"{variable}_FILE"]), f"{variable}_FILE")
    for setting in ("url", "api_key"):
        if setting in in_file and in_file[setting] != settings[setting]:
            variable = _FIELDS[setting] if _FIELDS[setting] in environment else f"{_FIELDS[setting]}_FILE"
            _LOG.warning("%s is set and replaces the %s of profile %s: unset it.", variable, setting, name)
    try:
        settings["usage_window"] = float(settings.get("usage_window", 60.0))
    except (TypeError, ValueError):
        raise NotConfigured(
            "not_configured", f"REGISTA_USAGE_WINDOW is not a number of seconds: {settings['usage_window']!r}"
        ) from None
    return Profile(**settings)


def _from_file(name: str, environment: Mapping[str, str]) -> dict[str, Any]:
    path = config_file(environment)
    try:
        content = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        content = {}
    except (OSError, ValueError) as e:
        raise NotConfigured("not_configured", f"{path} cannot be read: {e}") from None
    chosen = name or str(content.get("default", ""))
    if not chosen:
        return {}
    section = content.get("profiles", {}).get(chosen)
    if not isinstance(section, dict):
        there = ", ".join(content.get("profiles", {}))
        detail = f"{path} has no section [profiles.{chosen}]" + (f"; it has: {there}" if there else "")
        raise NotConfigured(
            "not_configured",
            detail,
            advice="Name one of its sections, or another file with REGISTA_CONFIG.",
        )
    settings = dict(section) | {"name": chosen}
    for secret in ("api_key", "kafka_password"):
        if f"{secret}_file" in settings:
            settings[secret] = _secret(
                Path(str(settings.pop(f"{secret}_file"))).expanduser(), f"{secret}_file"
            )
    if unknown := sorted(settings.keys() - {f.name for f in fields(Profile)} | section.keys() & {"name"}):
        raise NotConfigured(
            "not_configured", f"{path}: unknown settings in [profiles.{chosen}]: {', '.join(unknown)}"
        )
    return settings


def _secret(path: Path, variable: str) -> str:
    try:
        return path.expanduser().read_text("utf-8").strip()
    except (OSError, UnicodeDecodeError) as e:
        raise NotConfigured("not_configured", f"{variable}: {path} cannot be read: {e}") from None
