"""Read the settings of a process from its environment.

Each field comes from the variable `REGISTA_<FIELD>`, or from the file that `REGISTA_<FIELD>_FILE` names.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Literal, Self

import msgspec
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
)

from regista.wire.keys import BadKey, SigningKey, load_signing_key

WRONG_SETTING = 78
"""Exit code of a process that a wrong setting keeps from starting (EX_CONFIG of sysexits)."""


class SettingsWrong(Exception):  # noqa: N818 - the message is for the operator, not for a traceback
    """The environment has wrong or missing settings. One line names every variable that is wrong."""


def _host_and_port(value: str) -> str:
    if "/" in value or any(c.isspace() for c in value):
        msg = "must be host:port, without a scheme and without a path; TLS is a setting of its own"
        raise ValueError(msg)
    return value


def _missing(name: str) -> str:
    return f"REGISTA_{name.upper()} is required and empty"


def _listed(value: object) -> object:
    return [part.strip() for part in value.split(",") if part.strip()] if isinstance(value, str) else value


_DATABASE_URL = re.compile(
    r"postgres(ql)?://([^/?#@]*@)?((\[[^\]]*\]|[^:/?#@,]*)(:\d{1,5})?(,|(?=[/?#]|$)))+([/?#]|$)"
)
"""One host or several, each with a port or without."""
HostPort = Annotated[str, AfterValidator(_host_and_port)]
"""Address of an object store, as host:port."""


class Settings(BaseModel):
    """The settings of every service. `public_urls` maps each service to its base URL (JSON).

    `kafka_compression` is that of the messages that the service writes. Every client reads gzip; some need a
    plug-in for the others.

    `repr` shows no secret.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    database_url: str = Field(default="", repr=False)
    kafka_bootstrap: str = "127.0.0.1:9092"
    kafka_user: str = ""
    kafka_password: str = Field(default="", repr=False)
    kafka_security: Literal["PLAINTEXT", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    kafka_mechanism: Literal["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] = "SCRAM-SHA-512"
    kafka_ca_file: str = ""
    kafka_compression: Literal["none", "gzip", "snappy", "lz4", "zstd"] = "gzip"
    kafka_namespaces: Annotated[tuple[str, ...], BeforeValidator(_listed)] = ()
    signing_key_file: str = ""
    pepper: str = Field(default="", repr=False)
    key_days: int = Field(default=365, ge=0, le=3650)
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=0, ge=0, le=65535)
    public_urls: dict[str, str] = {}
    otlp_endpoint: str = ""
    trace_sample: float = Field(default=0.01, ge=0, le=1)
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"

    @field_validator("public_urls", mode="before")
    @classmethod
    def _json_text(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        try:
            return msgspec.json.decode(value, type=dict[str, str]) if value else {}
        except msgspec.MsgspecError as error:
            msg = f'must be a JSON object like {{"registry": "http://127.0.0.1:8001"}} ({error})'
            raise ValueError(msg) from error

    @field_validator("database_url")
    @classmethod
    def _postgresql(cls, url: str) -> str:
        if url and not _DATABASE_URL.match(url):
            msg = "must be postgresql://ROLE:PASSWORD@HOST:PORT/DATABASE"
            raise ValueError(msg)
        return url

    @field_validator("kafka_ca_file")
    @classmethod
    def _certificates(cls, file: str) -> str:
        try:
            ssl.create_default_context(cafile=file or None)
        except OSError as error:  # also ssl.SSLError
            msg = f"{file} has no certificates that can be read ({error.strerror or error})"
            raise ValueError(msg) from error
        return file

    @classmethod
    def from_environment(
        cls, environment: Mapping[str, str] = os.environ, required: Sequence[str] = ()
    ) -> Self:
        """Return the settings of the environment. Raises SettingsWrong with all that are wrong or missing."""
        found: dict[str, str] = {}
        wrong: list[str] = []
        for name in cls.model_fields:
            variable = f"REGISTA_{name.upper()}"
            if variable in environment:
                found[name] = environment[variable]
            elif f"{variable}_FILE" in environment and f"{name}_file" not in cls.model_fields:
                try:
                    found[name] = Path(environment[f"{variable}_FILE"]).read_text("utf-8").strip()
                except (OSError, UnicodeDecodeError) as error:
                    wrong.append(f"{variable}_FILE cannot be read ({error})")
                    continue
            if name in required and not found.get(name):
                wrong.append(_missing(name))
        try:
            settings = cls.model_validate(found)
        except ValidationError as error:
            wrong += [
                f"REGISTA_{str(e['loc'][0]).upper()}: {e['msg'].removeprefix('Value error, ')}"
                for e in error.errors(include_input=False)
            ]
        if wrong:
            raise SettingsWrong("; ".join(wrong))
        return settings

    def signing_key(self) -> SigningKey:
        """Return the key of `signing_key_file`. Raises SettingsWrong."""
        self.require("signing_key_file")
        try:
            return load_signing_key(self.signing_key_file)
        except (OSError, BadKey) as error:
            raise SettingsWrong(f"REGISTA_SIGNING_KEY_FILE: {error}") from error

    def require(self, *names: str) -> None:
        """Raise SettingsWrong with every setting of `names` that is empty."""
        if empty := [_missing(name) for name in names if not getattr(self, name)]:
            raise SettingsWrong("; ".join(empty))
