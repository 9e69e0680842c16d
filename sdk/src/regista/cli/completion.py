"""`regista completion`."""

from __future__ import annotations

import click
from click.shell_completion import get_completion_class

from regista.cli.terminal.session import Session, command


@command(
    examples="regista completion bash >> ~/.bashrc\n"
    "regista completion fish > ~/.config/fish/completions/regista.fish"
)
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(session: Session, shell: str) -> None:
    """Print the completion script of a shell."""
    found = get_completion_class(shell)
    if found is None:
        raise click.UsageError(f"there is no completion for {shell}")
    source = found(
        click.get_current_context().find_root().command, {}, "regista", "_REGISTA_COMPLETE"
    ).source()
    session.one({"shell": shell, "script": source}, source)
