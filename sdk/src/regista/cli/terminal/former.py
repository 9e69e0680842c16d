"""Names that commands and options had before: hidden, they work, and state on stderr what to use instead."""

from __future__ import annotations

import copy

import click


def former(command: click.Command, name: str, instead: str) -> click.Command:
    """Return the command under a former name. `instead`: the present call, without `regista`."""
    made = copy.copy(command)
    made.name, made.hidden, made.deprecated = name, True, f"Use `regista {instead}`."
    return made
