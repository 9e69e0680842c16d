"""The settings of this service: what counts in the comparison of two versions."""

from __future__ import annotations

from typing import Self

from pydantic import Field, field_validator

from services.registry.domain.versioning.bump import BumpPolicy
from services.registry.domain.versioning.noise import NOISE
from shared.foundation.settings import Settings

MOST_KEYS = 1_000


class RegistrySettings(Settings):
    """`noise_keys`: configuration keys that do not count, divided by commas; `default` stands for NOISE.

    `metric_threshold`: the move of the primary metric that proves MINOR, relative to its old value.
    """

    noise_keys: tuple[str, ...] = NOISE
    metric_threshold: float = Field(default=BumpPolicy().metric_threshold, ge=0, allow_inf_nan=False)

    @field_validator("noise_keys", mode="before")
    @classmethod
    def _keys(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        given = dict.fromkeys(key for part in value.split(",") if (key := part.strip()))
        keys = tuple(dict.fromkeys(k for key in given for k in (NOISE if key == "default" else (key,))))
        if len(keys) > MOST_KEYS:
            msg = f"has more than {MOST_KEYS} keys"
            raise ValueError(msg)
        return keys

    @classmethod
    def extending(cls, settings: Settings) -> Self:
        """Return the settings of every service with those of the registry from the environment.

        Raises SettingsWrong.
        """
        return cls.model_validate(
            cls.from_environment().model_dump() | settings.model_dump(exclude_unset=True)
        )

    @property
    def bump_policy(self) -> BumpPolicy:
        """The policy by which a version gets its number."""
        return BumpPolicy(self.metric_threshold, self.noise_keys)
