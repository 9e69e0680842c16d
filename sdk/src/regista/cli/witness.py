"""`regista witness`: keep and cosign the log checkpoints of a log, on another machine."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.client.sync_client import Client
    from regista.wire.keys import SigningKey
    from regista.witness import Witness


@command(
    examples="regista witness --log-key 'regista.log/…+…+…' --key witness.key.json --keep kept/\n"
    'regista witness --log-key "$KEY" --key witness.key.json --keep kept/ --once'
)
@click.option(
    "--log-key",
    required=True,
    metavar="VERIFIER_KEY",
    help="The key that `regista audit log-checkpoints` shows.",
)
@click.option(
    "--key",
    "key_file",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="The signing key of the witness, as `regista key generate` writes it. Only the witness has it.",
)
@click.option(
    "--keep",
    "folder",
    required=True,
    type=click.Path(file_okay=False, path_type=Path),
    help="The folder for cosigned log checkpoints; the witness compares with the newest.",
)
@click.option(
    "--every", type=click.FloatRange(1), default=60.0, show_default=True, help="Seconds between two looks."
)
@click.option("--once", is_flag=True, help="Look once and end; exit code 1 when the log contradicts.")
@click.option(
    "--listen", metavar="HOST:PORT", help="Serve what is kept by HTTP: /log-checkpoint, /key, /healthz."
)
def witness(
    session: Session,
    log_key: str,
    key_file: Path,
    folder: Path,
    every: float,
    listen: str | None,
    *,
    once: bool,
) -> None:
    """Keep, check and cosign log checkpoints, with a key that the log's operators do not have.

    Run it where they have no access. It cosigns a log checkpoint only when the log continues all that it
    cosigned before. It needs a key with the role auditor, and nothing but this client.
    """
    from regista.witness import Witness, serve  # noqa: PLC0415 - imported when the command runs

    made = Witness(_key(key_file), log_key, folder)
    if listen:
        host, _, port = listen.rpartition(":")
        if not host or not port.isdecimal():
            raise click.UsageError("--listen takes HOST:PORT, for example 127.0.0.1:8790")
        serve(made, host.strip("[]"), int(port))
    if session.for_people:
        session.heading({"witness_key": made.verifier_key})
    with session.client() as client:
        while True:
            _look(session, client, made, once=once)
            if once:
                return
            time.sleep(every)


def _look(session: Session, client: Client, made: Witness, *, once: bool) -> None:
    """Look once. With `once`, errors end the command; otherwise the next look follows."""
    from regista.errors import RegistaError  # noqa: PLC0415

    try:
        found = made.look(client)
    except RegistaError as error:
        if once:
            raise
        say(f"{error.code}: {error.detail}. {error.advice}", fg="red", err=True)
    else:
        session.one(
            {"size": found.size, "root": found.root.hex(), "log": found.origin},
            f"cosigned: {found.size} events, {found.root.hex()}",
        )


def _key(file: Path) -> SigningKey:
    from regista.wire.keys import BadKey, load_signing_key  # noqa: PLC0415

    try:
        key = load_signing_key(file)
    except BadKey as bad:
        raise click.UsageError(f"{file}: {bad}") from bad
    if not key.subject or "+" in key.subject or any(c.isspace() for c in key.subject):
        raise click.UsageError(
            f"{file}: the name {key.subject!r} cannot stand in a cosignature; make a key with a name without"
            " spaces and without +, for example `regista key generate witness.example.org/one`"
        )
    return key
