"""`regista up`, `down`, `status`, `logs`, `rebuild`: what the server's distribution adds to the command line."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import click

from services.local.places import LocalError, Place
from services.local.topics import SERVICES, WRITERS


def _place(_context: click.Context, _parameter: click.Parameter, value: str) -> Place:
    return Place(Path(value).resolve()) if "/" in value else Place.named(value)


def with_instance(command: Callable[..., Any]) -> Callable[..., Any]:
    """The option that says which instance is meant."""
    return click.option(
        "--instance",
        "place",
        default="main",
        show_default=True,
        callback=_place,
        envvar="REGISTA_INSTANCE",
        help="Which set of servers and services: a name under .regista, or a folder.",
    )(command)


@click.command(epilog="Example: regista up && export REGISTA_CONFIG=$(regista status --config)")
@with_instance
@click.option("--foreground", is_flag=True, help="Stay, show the logs, and stop everything at Ctrl-C.")
@click.option(
    "--patience", default=90.0, show_default=True, help="Seconds to wait until everything is ready."
)
@click.option(
    "--json", "as_json", is_flag=True, help="For programs: the addresses on stdout, the progress on stderr."
)
def up(place: Place, foreground: bool, patience: float, as_json: bool) -> None:
    """Start PostgreSQL, Kafka, S3 and all services on this machine."""
    from services.local import running  # noqa: PLC0415 - the other commands of the CLI do without it

    try:
        with running.stopping_when_interrupted(place):
            instance = running.start(place, patience, running.Progress(say=partial(click.echo, err=as_json)))
            if foreground:
                running.show_logs(place, lambda: running.is_up(place))
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        click.echo(json.dumps({"config": str(instance.profile_file), "urls": instance.urls}, indent=2))
    elif not foreground:
        click.echo(
            f"Stop it with `regista down`. To use it: export REGISTA_CONFIG={place.directory / 'config.toml'}"
        )


@click.command(epilog="Example: regista down --instance main")
@with_instance
@click.option("--json", "as_json", is_flag=True, help="For programs: the names of what was stopped.")
def down(place: Place, as_json: bool) -> None:
    """Stop everything `regista up` started, also what a killed supervisor left behind."""
    from services.local import running  # noqa: PLC0415

    ended = running.stop(place)
    if as_json:
        click.echo(json.dumps({"stopped": ended}))
    else:
        click.echo(f"Stopped: {', '.join(ended)}." if ended else "Nothing was running.")


@click.command(epilog="Example: regista status --json | jq '.parts[] | select(.ready | not)'")
@with_instance
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@click.option("--config", is_flag=True, help="Print only the path for REGISTA_CONFIG.")
def status(place: Place, as_json: bool, config: bool) -> None:
    """What runs, where, whether it is ready, and how far each consumer and relay is behind.

    Exit code 1 when something is not ready.
    """
    if config:
        click.echo(str(place.directory / "config.toml"))
        return
    from services.local.instance import Instance  # noqa: PLC0415
    from services.local.status import gather  # noqa: PLC0415

    found = gather(Instance.at(place))
    if as_json:
        click.echo(json.dumps(asdict(found) | {"ready": found.ready}, indent=2))
    else:
        from services.local.status_table import show  # noqa: PLC0415

        show(found)
    sys.exit(0 if found.ready else 1)


@click.command(epilog="Example: regista logs --follow registry kafka")
@with_instance
@click.argument("names", nargs=-1)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--lines", "-n", default=20, show_default=True, help="How many lines of each to begin with.")
def logs(place: Place, names: tuple[str, ...], follow: bool, lines: int) -> None:
    """The logs of all processes, or of those named, in one readable stream."""
    from services.local import running  # noqa: PLC0415

    known = dict.fromkeys(
        (*running.WRITE_LOGS, *sorted(file.stem for file in (place.directory / "logs").glob("*.log")))
    )
    if unknown := [name for name in names if name not in known]:
        raise click.BadArgumentUsage(f"nobody writes a log {unknown[0]!r}: name one of {', '.join(known)}")
    running.show_logs(place, lambda: follow, names, lines)


@click.command(epilog="Example: regista rebuild registry approval")
@with_instance
@click.argument(
    "services",
    nargs=-1,
    type=click.Choice([name for name in SERVICES if name in WRITERS.values()]),
    metavar="[SERVICES]...",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def rebuild(place: Place, services: tuple[str, ...], as_json: bool) -> None:
    """Drop the read models of running services, rebuild them from the log, and compare.

    Exit code 1 when they differ.
    """
    from services.local.running import rebuilt  # noqa: PLC0415

    try:
        found = rebuilt(place, services)
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for one in found:
            verdict = "equal to before" if one["equal"] else "DIFFERENT from before"
            click.echo(
                f"{one['service']:<10} {one['events']:>8} events → {one['rows']:>8} rows in {one['seconds']:.2f} s: {verdict}"
            )
    sys.exit(0 if all(one["equal"] for one in found) else 1)


COMMANDS = {"up": up, "down": down, "status": status, "logs": logs, "rebuild": rebuild}
