"""Names that commands and options had before: hidden, they work, and state on stderr what to use instead."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import click

from regista.cli.terminal.output import say


def former(command: click.Command, name: str, instead: str) -> click.Command:
    """Return the command under a former name. `instead`: the present call, without `regista`."""
    made = copy.copy(command)
    made.name, made.hidden, made.deprecated = name, True, f"Use `regista {instead}`."
    return made


class RenamingGroup(click.Group):
    """A group of commands that had other names before. `former` has the present name by the former one."""

    def __init__(self, *args: Any, former: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.former = former

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        found = super().get_command(ctx, cmd_name)
        if found is None and (present := self.former.get(cmd_name)) is not None:
            return former(self.commands[present], cmd_name, f"{self.name} {present}")
        return found


class RenamingCommand(click.Command):
    """A command with options that had other names before; `former` has the present name by the former one."""

    def __init__(self, *args: Any, former: Mapping[str, str], **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.former = former

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, list(self._present(args)))

    def _present(self, args: Sequence[str]) -> Iterator[str]:
        """Yield the arguments with present names, as far as options reach."""
        words = iter(args)
        for word in words:
            name, is_joined, value = word.partition("=")
            if name in self.former:
                present = self.former[name]
                say(
                    f"DeprecationWarning: The option {name!r} is deprecated. Use {present}.",
                    err=True,
                    fg="red",
                )
                yield f"{present}{is_joined}{value}"
            else:
                yield word
            if word == "--":
                yield from words
