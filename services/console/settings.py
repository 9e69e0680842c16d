"""The settings of the console."""

from __future__ import annotations

from datetime import timedelta

from pydantic import Field

from shared.foundation.settings import Settings, SettingsWrong


class ConsoleSettings(Settings):
    """`console_url`: the address that people open. With `https` the cookie is sent over TLS only.

    `public_urls` are the addresses at which the console reaches the services. `console_packages` is the
    folder of the front-end packages; without them the pages work, and load as a whole. A person signs in
    again after `console_session_minutes`, and after `console_idle_minutes` without a request.
    """

    console_url: str = Field(default="", pattern=r"^(https?://[^/?#@\s]+)?$")
    console_packages: str = ""
    console_session_minutes: int = Field(default=12 * 60, ge=1, le=7 * 24 * 60)
    console_idle_minutes: int = Field(default=60, ge=1, le=24 * 60)

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
