"""The settings of this service. It has no database, no key and no rights of its own."""

from __future__ import annotations

import re
from typing import Self

from pydantic import Field, field_validator

from shared.foundation.settings import Settings, SettingsWrong

NEEDED = ("registry", "artifact")
"""The services that requests are passed on to."""
_PREFIX = re.compile(r"(/[A-Za-z0-9._~-]+)*", re.ASCII)


class MlflowSettings(Settings):
    """`public_urls` names the other services.

    `mlflow_prefix`: the path below which clients call this service, such as `/mlflow`. `mlflow_url`: the URL
    at which clients reach it, where a proxy changes it; otherwise that of each request. `mlflow_seconds`: how
    long a service may take to answer.
    """

    mlflow_prefix: str = ""
    mlflow_url: str = ""
    mlflow_seconds: float = Field(default=40.0, gt=0, le=600)

    @field_validator("mlflow_prefix")
    @classmethod
    def _path(cls, prefix: str) -> str:
        if not _PREFIX.fullmatch(prefix.rstrip("/")):
            msg = "must be a path such as /mlflow"
            raise ValueError(msg)
        return prefix.rstrip("/")

    @field_validator("mlflow_url")
    @classmethod
    def _url(cls, url: str) -> str:
        if url and not url.startswith(("http://", "https://")):
            msg = "must begin with http:// or https://"
            raise ValueError(msg)
        return url.rstrip("/")

    @classmethod
    def read(cls) -> Self:
        """Return the settings of the environment. Raises SettingsWrong."""
        settings = cls.from_environment()
        if missing := [name for name in NEEDED if name not in settings.public_urls]:
            raise SettingsWrong(f"REGISTA_PUBLIC_URLS has no URL of {', '.join(missing)}")
        return settings
