"""Commands that the server distribution adds to `regista`: `up`, `down`, `status`, `console` and others."""

from __future__ import annotations

import sys
from functools import partial

import click

from regista.cli.terminal.output import FORMATS, say
from regista.cli.terminal.output import as_json as dumped
from services.kafka.commands import kafka
from services.kafka.topics import SERVICES, WRITERS
from services.local.folders import STORES, InstanceFolder, LocalError
from services.local.fronts import OPTIONAL, PROCESSES
from services.local.logs import LEVELS
from services.local.restore_commands import doctor, restore
from services.local.with_instance import with_instance


@click.command(epilog="Example: regista up && export REGISTA_CONFIG=$(regista status --config)")
@with_instance
@click.option("--foreground", is_flag=True, help="Stay, show the logs, and stop everything at Ctrl-C.")
@click.option(
    "--patience", default=90.0, show_default=True, help="Seconds to wait until everything is ready."
)
@click.option(
    "--without",
    multiple=True,
    type=click.Choice(PROCESSES),
    help="Do not start this service, to run it under a debugger; its settings go to a file. May be repeated.",
)
@click.option(
    "--with",
    "optional",
    multiple=True,
    type=click.Choice(OPTIONAL),
    help="Also run a service that is not needed otherwise: mirror. The instance keeps it.",
)
@click.option(
    "--servers",
    is_flag=True,
    help="Start the servers only: to restore a database and compare it (`regista doctor`).",
)
@click.option(
    "--store",
    type=click.Choice(STORES),
    help="The kind of object store of a new instance: S3, or Azure Blob Storage (Microsoft's emulator).",
)
@click.option(
    "--with-sso/--without-sso",
    default=None,
    help="Also start an issuer of tokens (Keycloak) with a few people, who sign in with `regista login`. "
    "The instance keeps it, until it is started without.",
)
@click.option(
    "--json", "as_json", is_flag=True, help="For programs: the addresses on stdout, the progress on stderr."
)
def up(
    folder: InstanceFolder,
    store: str | None,
    foreground: bool,
    patience: float,
    without: tuple[str, ...],
    optional: tuple[str, ...],
    servers: bool,
    with_sso: bool | None,
    as_json: bool,
) -> None:
    """Start PostgreSQL, Kafka, an object store and all services on this machine."""
    from services.local import lifecycle  # noqa: PLC0415 - the other commands of the CLI do without it

    without = PROCESSES if servers else without
    try:
        if store:
            from services.local.stack import Stack  # noqa: PLC0415

            Stack(folder).choose_store(store)
        if with_sso is not None:
            lifecycle.choose_sso(folder, runs=with_sso)
        if optional:
            lifecycle.add_optional(folder, optional)
        with lifecycle.stopping_when_interrupted(folder):
            instance = lifecycle.start(
                folder, patience, lifecycle.Progress(output=partial(say, err=as_json)), without
            )
            for name in () if servers else without:
                file = instance.environment_file(name)
                say(f"Start {name} yourself: set -a; . {file}; python -m services.{name}", err=as_json)
            if instance.stack.sso and not without:
                from services.local import sso  # noqa: PLC0415

                sso.introduce(instance)
                sso.show(instance, output=partial(say, err=as_json))
            if foreground:
                lifecycle.show_logs(folder, lambda: lifecycle.is_up(folder))
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        say(dumped({"config": str(instance.profile_file), "urls": instance.urls}))
    elif not foreground:
        if "console" not in without:
            say("Look at it: `regista console` prints a link.")
        say(
            "Stop it with `regista down`. To use it: "
            f"export REGISTA_CONFIG={folder.directory / 'config.toml'}"
        )


@click.command(epilog="Example: regista down --instance main")
@with_instance
@click.option("--json", "as_json", is_flag=True, help="For programs: the names of what was stopped.")
def down(folder: InstanceFolder, as_json: bool) -> None:
    """Stop everything that `regista up` started, including what a killed supervisor left behind."""
    from services.local import lifecycle  # noqa: PLC0415

    ended = lifecycle.stop(folder)
    if as_json:
        say(dumped({"stopped": ended}))
    else:
        say(f"Stopped: {', '.join(ended)}." if ended else "Nothing was running.")


@click.command(epilog="Example: regista status --json | jq '.parts[] | select(.ready | not)'")
@with_instance
@click.option("--json", "as_json", is_flag=True, help="For programs: the same as -o json.")
@click.option("-o", "--output", type=click.Choice(FORMATS), help="The output format.")
@click.option("--config", is_flag=True, help="Print only the path for REGISTA_CONFIG.")
def status(folder: InstanceFolder, as_json: bool, output: str | None, config: bool) -> None:
    """Show each process with its readiness or why it ended, lags, sizes, versions and waiting reviews.

    Exit code 1 when a process is not ready.
    """
    if config:
        say(str(folder.directory / "config.toml"))
        return
    from services.local.instance import Instance  # noqa: PLC0415
    from services.local.status import gather  # noqa: PLC0415

    found = gather(Instance.at(folder))
    from services.local.status_table import show, written  # noqa: PLC0415

    form = output or ("json" if as_json else "wide")
    show(found) if form == "wide" else say(written(found, form))
    sys.exit(0 if found.ready else 1)


@click.command(epilog="Example: regista logs --follow --level warning registry kafka")
@with_instance
@click.argument("names", nargs=-1)
@click.option("--follow", "-f", is_flag=True, help="Go on until Ctrl-C.")
@click.option("--lines", "-n", default=20, show_default=True, help="How many lines of each to begin with.")
@click.option(
    "--level",
    type=click.Choice(LEVELS),
    default=LEVELS[0],
    help="Only lines of this level and of higher ones, with what belongs to them.",
)
def logs(folder: InstanceFolder, names: tuple[str, ...], follow: bool, lines: int, level: str) -> None:
    """Show the logs of all processes, or of those named, in one readable stream."""
    from services.local import lifecycle  # noqa: PLC0415

    known = dict.fromkeys(
        (*lifecycle.WRITE_LOGS, *sorted(file.stem for file in (folder.directory / "logs").glob("*.log")))
    )
    if unknown := [name for name in names if name not in known]:
        raise click.BadArgumentUsage(f"there is no log {unknown[0]!r}: choose one of {', '.join(known)}")
    lifecycle.show_logs(folder, lambda: follow, names, lines, level)


@click.command(epilog="Example: regista rebuild registry approval")
@with_instance
@click.argument(
    "services",
    nargs=-1,
    type=click.Choice([name for name in SERVICES if name in WRITERS.values()]),
    metavar="[SERVICES]...",
)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
def rebuild(folder: InstanceFolder, services: tuple[str, ...], as_json: bool) -> None:
    """Drop the read models of running services, rebuild them from the log, and compare.

    Exit code 1 when they differ.
    """
    from services.local.lifecycle import rebuilt  # noqa: PLC0415

    try:
        found = rebuilt(folder, services)
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        say(dumped(found))
    else:
        for one in found:
            verdict = "equal to before" if one["equal"] else "DIFFERENT from before"
            say(
                f"{one['service']:<10} {one['events']:>8} events → {one['rows']:>8} rows "
                f"in {one['seconds']:.2f} s: {verdict}"
            )
    sys.exit(0 if all(one["equal"] for one in found) else 1)


@click.command(epilog="Example: regista console grace edsger")
@with_instance
@click.argument("people", nargs=-1, metavar="[PERSON]...")
@click.option("--json", "as_json", is_flag=True, help="For programs: the link of each person.")
def console(folder: InstanceFolder, people: tuple[str, ...], as_json: bool) -> None:
    """Print a link that signs in to the console once, for each profile: by default the administrator's.

    A link works within ten minutes, on this machine. Open each in a private window to be several people.
    """
    from services.local import links  # noqa: PLC0415
    from services.local.identities import ADMIN  # noqa: PLC0415
    from services.local.instance import Instance  # noqa: PLC0415

    instance = Instance.at(folder)
    try:
        made = {who: links.link(instance, who) for who in people or (ADMIN,)}
    except LocalError as problem:
        raise click.ClickException(str(problem)) from None
    if as_json:
        say(dumped(made))
    else:
        for who, link in made.items():
            say(f"{who}: {link}" if len(made) > 1 else link)


COMMANDS = {
    "up": up,
    "console": console,
    "down": down,
    "status": status,
    "logs": logs,
    "rebuild": rebuild,
    "doctor": doctor,
    "restore": restore,
    "kafka": kafka,
}
