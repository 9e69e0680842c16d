"""`regista history …`: sealed history as Parquet files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.session import Session, command, printable, to_the_second

if TYPE_CHECKING:
    from regista.client.sync_client import Client

PAUSE = 0.5


@click.group()
def history() -> None:
    """Sealed history as Parquet files, for other engines and for keeping elsewhere.

    Nothing is taken from the log. For auditors.
    """


@command(
    "list", group=history, examples="regista history list\nregista history list --json | jq -r '.[].file'"
)
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def list_(session: Session, limit: int) -> None:
    """The files, in the order of the log."""
    with session.client() as client:
        found = client.history(limit)
        if not session.json:
            session.one(client.history_state())
    columns = [
        ("file", "file"),
        ("first", "first"),
        ("last", "last"),
        ("bytes", "size"),
        ("sealed under", "sealed"),
        ("exported", _exported),
        ("sha256", lambda f: str(f["sha256"] or "")[:16]),
    ]
    session.items(
        found, columns, "nothing is exported yet: `regista history export` asks for what is there", limit
    )


def _exported(file: Mapping[str, Any]) -> str:
    return to_the_second(file["exported_at"]) or "planned"


@command(group=history, examples="regista history export\nregista history export --all --to history/")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Also the newest events that do not fill a file: they get one of their own.",
)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Then copy the files here; those that are here are left as they are.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="Seconds to wait for the export.",
)
def export(session: Session, folder: Path | None, wait: float, *, everything: bool) -> None:
    """Exports what is sealed, and waits for it."""
    with session.client() as client:
        asked = client.export_history(everything=everything)
        with session.progress("exporting") as progress:
            state = _exported_up_to(client, asked["planned"], wait, progress)
        copied = 0
        if folder is not None:
            with session.progress("copying") as progress:
                copied = client.download_history(folder, progress)
    told = f"{state['exported']} of {state['sealed']} events are exported to {state['place']}"
    session.one(
        state | {"copied": copied},
        told + (f"; {copied} {'file' if copied == 1 else 'files'} copied to {folder}" if folder else ""),
    )


def _exported_up_to(client: Client, planned: int, wait: float, progress: Any) -> dict[str, Any]:
    """Raises TimedOut with what the service last said."""
    from regista.errors import TimedOut  # noqa: PLC0415

    deadline, said = time.monotonic() + wait, ""
    while True:
        state = client.history_state()
        if state["failure"] != said and (said := state["failure"]):
            click.echo(printable(f"it is tried again: {said}"), err=True)
        if progress:
            progress("events", state["exported"], planned)
        if state["exported"] >= planned:
            return state
        if time.monotonic() > deadline:
            said = f": {state['failure']}" if state["failure"] else ""
            raise TimedOut(
                "not_exported",
                f"{state['exported']} of {planned} events are exported{said}",
                advice="It goes on by itself: ask again later.",
            )
        time.sleep(PAUSE)


@command(group=history, examples="regista history verify history/ --key 'regista.log/…+…+…'")
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="VERIFIER_KEY",
    help="As `regista audit checkpoints` showed it; keep a copy where the log's operators cannot change it. Several after a rotation.",
)
def verify(session: Session, folder: Path, keys: tuple[str, ...]) -> None:
    """Proves files on this machine against signed checkpoints, without any service; exit code 1 when something is wrong or missing."""
    from regista.exported_history import verify as verified  # noqa: PLC0415

    with session.waiting("verifying"):
        found = verified(folder, keys)
    if session.json:
        session.out(
            {name: getattr(found, name) for name in found.__dataclass_fields__} | {"holds": found.holds}
        )
    else:
        for fault in found.faults:
            click.secho(printable(fault), fg="red", err=True)
        for first, last in found.gaps:
            click.secho(f"leaves {first} to {last} are not here", fg="red", err=True)
        for name in found.unsealed:
            click.secho(printable(f"{name} has no manifest: nothing proves it"), fg="red", err=True)
        upto = (
            f", under a checkpoint of {found.checkpoint['size']}: {found.checkpoint['root']}"
            if found.checkpoint
            else ""
        )
        click.echo(f"{found.events} events in {found.chunks} files are proven{upto}")
    if not found.holds:
        click.get_current_context().exit(1)
