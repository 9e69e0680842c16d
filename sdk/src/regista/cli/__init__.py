"""The command line.

Each command's module is imported when the command is named: `regista --help` stays quick.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from typing import Any

import click

from regista.cli.session import Session, printable

SECTIONS: dict[str, dict[str, tuple[str, str]]] = {
    "Models": {
        "models": ("catalogue:models", "List, show, create and edit models"),
        "versions": ("versions:versions", "List, show, download, evaluate and complete versions"),
        "publish": ("publish:publish", "Upload an artifact and register a version"),
        "diff": ("versions:diff", "How two versions differ"),
        "alias": ("catalogue:alias", "List, set and remove aliases"),
    },
    "Promotion": {
        "promote": ("promotion:promote", "Ask for a version's promotion"),
        "reviews": ("promotion:reviews", "Pending reviews and their evidence"),
        "approve": ("promotion:approve", "Approve a review"),
        "reject": ("promotion:reject", "Reject a review or a version"),
        "override": ("promotion:override", "Break the glass: promote past the gates, on the record"),
        "policy": ("promotion:policy", "List, show and publish gate policies"),
        "rollout": ("rollout:rollout", "Who serves: show, split, switch"),
        "rollback": ("rollout:rollback", "Back to what served before"),
        "recall": ("promotion:recall", "Forbid loading a version, wherever it serves"),
    },
    "History and operations": {
        "timeline": ("history:timeline", "Everything that happened to a model"),
        "as-of": ("history:as_of", "What was in production at a moment"),
        "cleanup": ("operations:cleanup", "Plan, run and explain cleanups; retention"),
        "hold": ("operations:hold", "Place or release a legal hold"),
        "audit": ("audit:audit", "Checkpoints, invariants and events of the log"),
        "history": ("archive:history", "Sealed history as Parquet files: list, export, verify"),
        "dlq": ("operations:dlq", "Messages that could not be taken: list, show, replay"),
        "access": ("access:access", "Identities, keys and roles"),
        "key": ("access:key", "Make a signing key on this machine"),
        "completion": ("shell:completion", "Shell completion for bash, zsh or fish"),
    },
}
COMMANDS = {name: told for section in SECTIONS.values() for name, told in section.items()}
SAY_IT_THEMSELVES = frozenset({404, 409, 412, 422})  # a service's detail of these says what to do next
LISTED_BY = {
    "unknown_review": "regista reviews",
    "unknown_policy": "regista policy list",
    "unknown_sweep": "regista cleanup list",
    "unknown_history_file": "regista history list",
}  # a service names its own request for the list; a person types this
AS_JSON = "regista.as_json"  # in the context: the words of the command line hold --json
EXIT_CODES = "Exit codes: 0 done, 1 error, 2 wrong usage or configuration, 3 refused (a rule), 4 not found, 5 not allowed."


class LazyGroup(click.Group):
    """Commands of this package by table, those of others by the entry-point group `regista.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*COMMANDS, *sorted(_plugins())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in COMMANDS:
            return _imported(f"regista.cli.{COMMANDS[cmd_name][0]}")
        found = _plugins().get(cmd_name)
        return _imported(found) if isinstance(found, str) else found

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        ctx.meta[AS_JSON] = "--json" in args
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        from regista.errors import Invalid, RegistaError  # noqa: PLC0415 - the help needs no errors

        try:
            return super().invoke(ctx)
        except click.UsageError as e:
            if not ctx.meta[AS_JSON]:
                raise
            path = e.ctx.command_path if e.ctx else "regista"
            say_error(
                Invalid(
                    "wrong_usage", e.format_message(), advice=f"`{path} --help` shows how it is written."
                ),
                as_json=True,
            )
            ctx.exit(e.exit_code)
        except OSError as e:
            if not e.filename:  # no file's: a pipe that nobody reads any more, say
                raise
            advice = "Make the place writable (or room on it), or name another: --to, REGISTA_CACHE_DIR."
            say_error(
                RegistaError("file_unusable", f"{e.filename}: {e.strerror}", advice=advice),
                as_json=ctx.meta[AS_JSON],
            )
            ctx.exit(RegistaError.exit_code)
        except RegistaError as e:
            say_error(e, as_json=isinstance(ctx.obj, Session) and ctx.obj.json)
            ctx.exit(e.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, short) for name, (_, short) in commands.items()])
        others = {name: command for name in sorted(_plugins()) if (command := self.get_command(ctx, name))}
        if others:
            with formatter.section("On this machine"):
                formatter.write_dl(
                    [(name, command.get_short_help_str(60)) for name, command in others.items()]
                )


def _imported(place: str) -> click.Command:
    module, _, attribute = place.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, click.Command):
        raise TypeError(f"{place} is no click command")
    return found


def _plugins() -> dict[str, click.Command | str]:
    """Commands that other distributions bring: an entry point is a command, a list of commands, or a mapping of names to `module:attribute`."""
    from importlib.metadata import entry_points  # noqa: PLC0415 - scanning distributions takes time

    found: dict[str, click.Command | str] = {}
    for point in entry_points(group="regista.commands"):
        try:
            loaded: Any = point.load()
        except Exception as e:  # noqa: BLE001 - a broken plug-in must not take the other commands with it
            click.echo(f"the plug-in {point.value} could not be loaded: {e!r}", err=True)
            continue
        if isinstance(loaded, Mapping):
            found |= loaded
        elif isinstance(loaded, click.Command):
            found[point.name] = loaded
        else:
            found |= {str(command.name): command for command in loaded}
    return {name: command for name, command in found.items() if name not in COMMANDS}


@click.group(
    "regista",
    cls=LazyGroup,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
    epilog=EXIT_CODES,
)
@click.option(
    "--profile",
    default="",
    metavar="NAME",
    help="A profile of ~/.config/regista/config.toml (or REGISTA_PROFILE).",
)
@click.version_option(package_name="regista", prog_name="regista")
@click.pass_context
def root(ctx: click.Context, profile: str) -> None:
    """Publish, load and govern models.

    \b
    Examples:
      regista publish churn model.onnx --metadata run.json
      regista versions list churn
      regista promote churn@3 --reason "better on the March data"
      regista rollout split churn 3=90 4=10

    The registry's address and your key come from REGISTA_URL and REGISTA_API_KEY (or REGISTA_API_KEY_FILE).
    """  # noqa: D301 - \b keeps click from wrapping the examples
    ctx.obj = Session(profile)


def main() -> None:
    """The console script."""
    root()


def say_error(error: Any, *, as_json: bool) -> None:
    """The problem and what to do next, on stderr."""
    if as_json:
        import json  # noqa: PLC0415

        click.echo(
            json.dumps(
                {"code": error.code, "detail": error.detail, "advice": error.advice, **error.facts},
                default=str,
            ),
            err=True,
        )
        return
    click.secho(f"{printable(error.code)}: ", fg="red", bold=True, err=True, nl=False)
    click.echo(printable(error.detail), err=True)
    for problem in error.facts.get("problems", ()) or error.facts.get("errors", ()):
        said = (
            f"{problem.get('field', '')}: {problem.get('problem', '')}"
            if isinstance(problem, dict)
            else problem
        )
        click.echo(f"  - {printable(said)}", err=True)
    if error.code in LISTED_BY:
        click.secho(f"  → `{LISTED_BY[error.code]}` lists what there is.", dim=True, err=True)
    elif error.status not in SAY_IT_THEMSELVES:
        click.secho(f"  → {error.advice}", dim=True, err=True)
