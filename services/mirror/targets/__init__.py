"""The kinds of registries that a mirror can write to, one file for each.

A file of a kind has `open_target(settings)`: it checks the target's settings and returns the `Target`.
Settings are the TOML file of the target, as a dictionary; what they leave out comes from the environment's
default chain of credentials. Wrong settings raise `Refused`, with a text that names the setting.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from typing import Any

from services.mirror.targets.base import Refused, Target

KINDS = ("mlflow", "sagemaker", "azureml")
"""The kinds, each the name of a module here. A module is imported when a target of its kind is opened."""


def open_target(kind: str, settings: Mapping[str, Any]) -> Target:
    """Return the target of a kind with these settings.

    Raises:
        Refused: the kind is unknown, its client is not installed, or a setting is wrong.
    """
    if kind not in KINDS:
        raise Refused(f"{kind!r:.40} is no kind of target: use one of {', '.join(KINDS)}.")
    try:
        module = import_module(f"services.mirror.targets.{kind}")
    except ModuleNotFoundError as e:
        raise Refused(f"The client for {kind} is not installed: pip install {e.name}.") from e
    opened: Callable[[Mapping[str, Any]], Target] = module.open_target
    return opened(settings)
