"""The settings of the console."""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from urllib.parse import urlsplit

from pydantic import Field, ValidationInfo, field_validator

from shared.foundation.settings import Settings, SettingsWrong

LOOPBACK: Final = frozenset({"localhost", "127.0.0.1", "::1"})
SHORTEST_SECRET = 32


class ConsoleSettings(Settings):
    """`console_url`: the address that people open. With `https` the cookie is sent over TLS only.

    `public_urls` are the addresses at which the console reaches the services. `console_packages` is the
    folder of the front-end packages; without them the pages work, and load as a whole. A person signs in
    again after `console_session_minutes`, and after `console_idle_minutes` without a request. Who has
    `console_link_secret` makes links that sign a person in once: only for a console on this machine.
    """

    console_url: str = Field(default="", pattern=r"^(https?://[^/?#@\s]+)?$")
    console_packages: str = ""
    console_session_minutes: int = Field(default=12 * 60, ge=1, le=7 * 24 * 60)
    console_idle_minutes: int = Field(default=60, ge=1, le=24 * 60)
    console_link_secret: str = Field(default="", repr=False)

    @field_validator("console_link_secret")
    @classmethod
    def _on_this_machine(cls, secret: str, found: ValidationInfo) -> str:
        if secret and urlsplit(found.data.get("console_url", "")).hostname not in LOOPBACK:
            msg = "is for a console at 127.0.0.1 only: remove it, or correct REGISTA_CONSOLE_URL"
            raise ValueError(msg)
        if 0 < len(secret) < SHORTEST_SECRET:
            msg = f"must have at least {SHORTEST_SECRET} characters"
            raise ValueError(msg)
        return secret

    def require_registry(self) -> None:
        """Raise SettingsWrong when the address of the registry is missing."""
        if not self.public_urls.get("registry"):
            raise SettingsWrong("REGISTA_PUBLIC_URLS must name the registry")

    @property
    def longest(self) -> timedelta:
        """How long a person stays signed in."""
        return timedelta(minutes=self.console_session_minutes)

    @property
    def idle(self) -> timedelta:
        """How long a person stays signed in without a request."""
        return timedelta(minutes=self.console_idle_minutes)
