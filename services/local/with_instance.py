"""The option of commands that selects the instance."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from services.local.folders import InstanceFolder


def _place(_context: click.Context, _parameter: click.Parameter, value: str) -> InstanceFolder:
    return InstanceFolder(Path(value).resolve()) if "/" in value else InstanceFolder.named(value)


def with_instance(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the option that selects the instance."""
    return click.option(
        "--instance",
        "folder",
        default="main",
        show_default=True,
        callback=_place,
        envvar="REGISTA_INSTANCE",
        help="Which set of servers and services: a name under .regista, or a folder.",
    )(command)
