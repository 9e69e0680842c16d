"""The settings of this service: the key with which it reads, and the folder of the targets' settings."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any, Self

from pydantic import Field

from services.mirror.targets.base import Refused
from shared.foundation.settings import Settings, SettingsWrong

NEEDED = ("registry", "approval", "artifact")
"""The services that a mirror reads from."""
LONGEST = 64 * 1024
"""Bytes of a target's settings file."""


class MirrorSettings(Settings):
    """`public_urls` names the services that are read, `mirror_api_key` is the API key of `service:mirror`.

    `mirror_targets`: the folder with `<target>.toml` for each target: its address and credentials.
    `mirror_seconds`: how long a service may take to answer.
    """

    mirror_api_key: str = Field(default="", repr=False)
    mirror_targets: str = ""
    mirror_seconds: float = Field(default=40.0, gt=0, le=600)

    @classmethod
    def extending(cls, settings: Settings) -> Self:
        """Return the settings of every service with those of mirrors from the environment.

        Raises SettingsWrong.
        """
        found = cls.model_validate(
            cls.from_environment().model_dump() | settings.model_dump(exclude_unset=True)
        )
        found.require("mirror_api_key", "mirror_targets")
        if missing := [name for name in NEEDED if name not in found.public_urls]:
            raise SettingsWrong(f"REGISTA_PUBLIC_URLS has no URL of {', '.join(missing)}")
        return found

    def target_settings(self, target: str) -> dict[str, Any]:
        """Return the content of a target's settings file; it is read again each time, as credentials change.

        Raises:
            Refused: the file cannot be read, or is no TOML.
        """
        file = Path(self.mirror_targets) / f"{target}.toml"
        try:
            with file.open("rb") as opened:
                content = opened.read(LONGEST + 1)
        except OSError as e:
            raise Refused(
                f"The settings file {file} cannot be read ({e.strerror or e}): write the target's address and"
                " credentials there, readable by the mirror service."
            ) from e
        if len(content) > LONGEST:
            raise Refused(f"The settings file {file} has more than {LONGEST} bytes.")
        try:
            return tomllib.loads(content.decode())
        except (UnicodeDecodeError, tomllib.TOMLDecodeError) as e:
            raise Refused(f"The settings file {file} is no TOML: its syntax is wrong.") from e
