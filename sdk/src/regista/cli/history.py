"""`regista history …`: the exported log as Parquet files."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.former import RenamingCommand
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.calls.audit import HistoryState
    from regista.client.sync_client import Client

PAUSE = 0.5


@click.group()
def history() -> None:
    """List, export and verify the exported log: Parquet files for other engines and for copies elsewhere.

    The export changes nothing in the log. For auditors.
    """


@command(
    "list", group=history, examples="regista history list\nregista history list --json | jq -r '.[].file'"
)
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def list_(session: Session, limit: int) -> None:
    """List the files, in the order of the log."""
    with session.client() as client:
        found = client.history(limit)
        if session.for_people:
            session.heading(client.history_state())
    columns = [
        ("file", "file"),
        ("first", "first"),
        ("last", "last"),
        ("bytes", "size"),
        ("sealed under", "sealed"),
        ("exported", _exported),
        ("sha256", lambda f: str(f["sha256"] or "")[:16]),
    ]
    session.items(found, columns, "nothing is exported yet: `regista history export` starts an export", limit)


def _exported(file: Mapping[str, Any]) -> str:
    return to_the_second(file["exported_at"]) or "planned"


@command(group=history, examples="regista history export\nregista history export --all --to history/")
@click.option(
    "--all",
    "everything",
    is_flag=True,
    help="Export also the newest events, which do not fill a file.",
)
@click.option(
    "--to",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Then copy the missing files to this folder.",
)
@click.option(
    "--wait",
    type=click.FloatRange(0),
    default=600.0,
    show_default=True,
    help="Seconds to wait for the export.",
)
def export(session: Session, folder: Path | None, wait: float, *, everything: bool) -> None:
    """Export the sealed events, and wait for it."""
    with session.client(lasting=True) as client:
        requested = client.export_history(everything=everything)
        with session.progress("exporting", bytes_=False) as progress:
            state = _wait_until_exported(client, requested["planned"], wait, progress)
        copied = 0
        if folder is not None:
            with session.progress("copying") as progress:
                copied = client.download_history(folder, progress)
    message = f"{state['exported']} of {state['sealed']} events are exported to {state['place']}"
    session.one(
        state | {"copied": copied},
        message + (f"; {copied} {'file' if copied == 1 else 'files'} copied to {folder}" if folder else ""),
    )


def _wait_until_exported(client: Client, planned: int, wait: float, progress: Any) -> HistoryState:
    """Return the state once `planned` events are exported. Raises TimedOut with the last failure."""
    from regista.errors import TimedOut  # noqa: PLC0415

    deadline, failure = time.monotonic() + wait, ""
    while True:
        state = client.history_state()
        if state["failure"] != failure and (failure := state["failure"]):
            say(f"the service tries again after: {failure}", err=True)
        if progress:
            progress("events", state["exported"], planned)
        if state["exported"] >= planned:
            return state
        if time.monotonic() > deadline:
            reason = f": {state['failure']}" if state["failure"] else ""
            raise TimedOut(
                "not_exported",
                f"{state['exported']} of {planned} events are exported{reason}",
                advice="The export continues: look again later with `regista history list`.",
            )
        time.sleep(PAUSE)


@command(
    cls=RenamingCommand,
    former={"--checkpoint": "--log-checkpoint"},
    group=history,
    examples="regista history verify history/ --key 'regista.log/…+…+…'",
)
@click.argument("folder", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--key",
    "keys",
    multiple=True,
    required=True,
    metavar="VERIFIER_KEY",
    help="The key that `regista audit log-checkpoints` shows; keep a copy where the operators of the log "
    "cannot change it. After a rotation, give each key.",
)
@click.option(
    "--log-checkpoint",
    "kept",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="A log checkpoint kept elsewhere (`regista audit log-checkpoints --save`): the files must reach it."
    " Without it, nothing shows that the newest events are missing.",
)
def verify(session: Session, folder: Path, keys: tuple[str, ...], kept: Path | None) -> None:
    """Verify files on this machine against signed log checkpoints, without any service.

    FOLDER has the files, or a folder below it has them.

    Exit code 1 when a file is wrong, or a part of the log is missing.
    """
    from regista.exported_history import verify as verified  # noqa: PLC0415

    with session.waiting("verifying"):
        found = verified(folder, keys, kept=kept.read_text("utf-8", "replace") if kept else "")
    if session.json:
        session.out(
            {name: getattr(found, name) for name in found.__dataclass_fields__} | {"holds": found.holds}
        )
    else:
        for fault in found.faults:
            say(fault, fg="red", err=True)
        for first, last in found.gaps:
            say(f"leaves {first} to {last} are missing", fg="red", err=True)
        for name in found.unsealed:
            say(f"{name} has no manifest and is not proven", fg="red", err=True)
        upto = (
            f", under a log checkpoint of {found.log_checkpoint['size']}: {found.log_checkpoint['root']}"
            if found.log_checkpoint
            else ""
        )
        say(f"{found.events} events in {found.chunks} files are proven{upto}")
        if found.until:
            compared = (
                f"the log checkpoint of {found.kept} events that you kept is continued"
                if kept and found.holds
                else "compare with a log checkpoint kept elsewhere: --log-checkpoint FILE"
            )
            say(f"until {found.until}; later events are not in these files ({compared})")
    if not found.holds:
        click.get_current_context().exit(1)
