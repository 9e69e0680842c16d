"""The command line of the client.

A command's module has the name of the command, and is imported when the command is used: `regista --help`
stays fast.
"""

from __future__ import annotations

import importlib
import itertools
import keyword
from collections.abc import Mapping
from typing import Any

import click

from regista.cli.terminal.former import former
from regista.cli.terminal.output import printable, say
from regista.cli.terminal.session import Session

SECTIONS: dict[str, dict[str, str]] = {
    "Models": {
        "models": "List, show, create and edit models",
        "versions": "List, show, describe, correct, download and evaluate versions",
        "publish": "Upload an artifact and register a version",
        "import": "Import models from another registry: MLflow, SageMaker, Azure ML",
        "diff": "Show how two versions differ",
        "compare": "Show several versions beside each other",
        "alias": "List, set and remove aliases",
    },
    "Promotion": {
        "promote": "Request the promotion of a version",
        "reviews": "Pending reviews and their evidence",
        "approve": "Approve a review",
        "reject": "Reject a review or a version",
        "override": "Grant a promotion past its gates (break-glass override)",
        "policy": "List, show and publish gate policies",
        "environment": "Declare, list, edit and retire environments",
        "mlflow": "What MLflow's clients may do in a namespace",
        "serving": "What serves where, over all models and environments",
        "rollout": "Show, split, switch and stop the traffic of versions",
        "rollback": "End a split, or roll back to the version that served before",
        "withdraw": "Forbid loading a version, or all that were trained on a data set",
        "reinstate": "Undo a withdrawal that was a mistake",
        "reopen": "Let an archived version be used again",
    },
    "Audit and operations": {
        "timeline": "The events of a model",
        "events": "What happens to models, as it happens",
        "as-of": "What was in production at a time",
        "cleanup": "Plan, run and explain cleanups; retention",
        "mirror": "Other registries that show what Regista decides: targets, standing, drift",
        "legal-hold": "Place or release a legal hold",
        "audit": "Log checkpoints, invariants, proofs and stored events",
        "witness": "Keep and cosign log checkpoints on another machine",
        "history": "The exported log as Parquet files: list, export, verify",
        "dlq": "Dead letters: list, group, show, replay, dismiss",
        "access": "Identities, groups, keys and roles",
        "login": "Sign in as a person, with your organisation's account",
        "logout": "End the sign-in on this machine",
        "whoami": "Who you are here: roles, and until when",
        "key": "Make a signing key on this machine",
        "completion": "Shell completion for bash, zsh or fish",
    },
}
COMMANDS = {name: short for section in SECTIONS.values() for name, short in section.items()}
FORMER = {
    "recall": ("regista.cli.withdraw:withdraw", "withdraw"),
    "hold": ("regista.cli.legal_hold:hold", "legal-hold place"),
}
"""Former names of commands → where the command is, and the present call."""
ERRORS_AS_JSON = "regista.errors_as_json"
"""Where the click context has whether errors are printed as JSON."""
EXIT_CODES = (
    "Exit codes: 0 done, 1 error, 2 wrong usage or configuration, 3 refused (a rule), 4 not found, "
    "5 not allowed, 6 a wait timed out."
)


def _in_words(error: click.UsageError) -> str:
    """Return what is wrong with the call; of an option that is missing also what to give."""
    wrong, option = error.format_message(), getattr(error, "param", None)
    if isinstance(error, click.MissingParameter) and isinstance(option, click.Option) and option.help:
        wrong = f"{wrong.rstrip('.')}. {option.help}"
    if isinstance(error, click.NoSuchOption) and (meant := _begun(error)):
        wrong = f"{error.message} Did you mean {' or '.join(meant)}?"
    return wrong


def _begun(error: click.NoSuchOption) -> list[str]:
    """Return the options that begin with the one that there is not: click names those of a like spelling."""
    params = error.ctx.command.params if error.ctx and len(error.option_name) > len("--x") else []
    every = (name for param in params if isinstance(param, click.Option) for name in param.opts)
    return [name for name in every if name.startswith(error.option_name)]


class LazyGroup(click.Group):
    """The commands of this package, and of others by the entry-point group `regista.commands`."""

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        return [*COMMANDS, *sorted(_plugins())]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name in COMMANDS:
            name = cmd_name.replace("-", "_")
            name += "_" * keyword.iskeyword(name)
            return _imported(f"regista.cli.{name}:{name}")
        if cmd_name in FORMER:
            location, instead = FORMER[cmd_name]
            return former(_imported(location), cmd_name, instead)
        found = _plugins().get(cmd_name)
        return _imported(found) if isinstance(found, str) else found

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Name what a mistyped command is near. click compares with imported commands only: here none."""
        name = args[0]
        if not ctx.resilient_parsing and self.get_command(ctx, name) is None:
            import difflib  # noqa: PLC0415 - for a mistyped command only

            if near := difflib.get_close_matches(name, self.list_commands(ctx)):
                raise click.UsageError(f"No such command {name!r}. Did you mean {' or '.join(near)}?", ctx)
        return super().resolve_command(ctx, args)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        words, formats, others = _formats_apart(args)
        ctx.meta[ERRORS_AS_JSON] = "--json" in formats or "json" in formats
        return super().parse_args(ctx, [*words, *formats, *others])

    def invoke(self, ctx: click.Context) -> Any:
        from regista.cli.terminal.failure import print_error  # noqa: PLC0415 - the help needs no errors
        from regista.errors import Invalid, RegistaError  # noqa: PLC0415

        try:
            return super().invoke(ctx)
        except click.UsageError as e:
            wrong = _in_words(e)
            if not ctx.meta[ERRORS_AS_JSON]:
                raise click.UsageError(printable(wrong), e.ctx) from None
            path = e.ctx.command_path if e.ctx else "regista"
            print_error(
                Invalid("wrong_usage", wrong, advice=f"`{path} --help` shows the usage."), as_json=True
            )
            ctx.exit(e.exit_code)
        except click.ClickException as e:
            raise click.ClickException(printable(e.format_message())) from None
        except OSError as e:
            if not e.filename:  # not about a file, for example a closed pipe
                raise
            advice = "Make it writable and free space on it, or name another folder: --to, REGISTA_CACHE_DIR."
            error = RegistaError("file_unusable", f"{e.filename}: {e.strerror}", advice=advice)
            print_error(error, as_json=ctx.meta[ERRORS_AS_JSON])
            ctx.exit(RegistaError.exit_code)
        except RegistaError as e:
            if isinstance(ctx.obj, Session):
                from regista.cli.terminal.people import with_names  # noqa: PLC0415

                e.detail = with_names(ctx.obj, e.detail)
            print_error(e, as_json=isinstance(ctx.obj, Session) and ctx.obj.json)
            ctx.exit(e.exit_code)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(list(commands.items()))
        others = {name: command for name in sorted(_plugins()) if (command := self.get_command(ctx, name))}
        if others:
            with formatter.section("On this machine"):
                formatter.write_dl(
                    [(name, command.get_short_help_str(60)) for name, command in others.items()]
                )


def _formats_apart(args: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Return the words, the options of the output format, and what follows `--`.

    The output format may stand anywhere; the command, which is the last one to read options, gets it.
    """
    end = args.index("--") if "--" in args else len(args)
    words, formats, rest = list[str](), list[str](), iter(args[:end])
    for word in rest:
        if word == "--json" or word.startswith("--output="):
            formats.append(word)
        elif word in {"-o", "--output"}:
            formats += [word, *itertools.islice(rest, 1)]
        else:
            words.append(word)
    return words, formats, args[end:]


def _imported(location: str) -> click.Command:
    module, _, attribute = location.partition(":")
    found = getattr(importlib.import_module(module), attribute)
    if not isinstance(found, click.Command):
        raise TypeError(f"{location} is not a click command")
    return found


def _plugins() -> dict[str, click.Command | str]:
    """Return the commands of other packages.

    An entry point is a command, a list of commands, or a mapping of names to `module:attribute`.
    """
    from importlib.metadata import entry_points  # noqa: PLC0415 - scanning distributions takes time

    found: dict[str, click.Command | str] = {}
    for point in entry_points(group="regista.commands"):
        try:
            loaded: Any = point.load()
        except Exception as e:  # noqa: BLE001 - a broken plug-in must not disable the other commands
            say(f"the plug-in {point.value} could not be loaded: {e!r}", err=True)
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
    """Publish, load and promote models.

    \b
    Examples:
      regista publish churn model.onnx --metadata run.json
      regista versions list churn
      regista promote churn@3 --reason "better on the March data"
      regista rollout split churn 3=90 4=10

    The URL of the registry is read from REGISTA_URL. People sign in with `regista login`; programs set
    REGISTA_API_KEY (or REGISTA_API_KEY_FILE).
    """  # noqa: D301 - \b keeps click from wrapping the examples
    ctx.obj = Session(profile)


def main() -> None:
    """Run the command line."""
    root()
