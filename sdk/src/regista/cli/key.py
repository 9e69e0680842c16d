"""`regista key …`: signing keys on this machine. The private half never leaves it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.wire.keys import SigningKey

OUT = click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the signing key (mode 0600; never overwritten).",
)


@click.group()
def key() -> None:
    """Make signing keys on this machine."""


@command(group=key, examples="regista key generate publisher:nightly --out nightly.key.json")
@click.argument("subject", metavar="IDENTITY")
@OUT
def generate(session: Session, subject: str, file: Path | None) -> None:
    """Make a signing key and print its public half, for an admin to register."""
    made = new_signing_key(subject, file)
    output = {
        "subject": subject,
        "key_id": made.key_id,
        "public_key": made.public.hex(),
        "algorithm": "ed25519",
        "file": str(file),
    }
    session.one(output)


def new_signing_key(subject: str, file: Path | None) -> SigningKey:
    """Make a signing key and write it to a new file. Raises click.UsageError."""
    from regista.wire.keys import generate_signing_key  # noqa: PLC0415

    if file is None:
        raise click.UsageError("name the file for the signing key: --out FILE")
    made = generate_signing_key(subject)
    with creating(file):
        made.save(file)
    return made


@contextmanager
def creating(file: Path) -> Iterator[None]:
    """Turn the errors of creating the file of a key into click.UsageError."""
    try:
        yield
    except FileExistsError:
        raise click.UsageError(f"{file} exists, and a key is never overwritten: name a new file") from None
    except OSError as e:
        raise click.UsageError(
            f"{file} cannot be written: {e.strerror}; name a file in an existing folder"
        ) from None
