"""`regista access key …`: issue, register, rotate and revoke keys. Private keys never leave this machine."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime, time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.key import creating, new_signing_key
from regista.cli.terminal.options import OPTIONAL_REASON
from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.wire.keys import SigningKey

EXPIRES = click.option(
    "--expires",
    metavar="TIME",
    help="A day (2027-01-31: its beginning, UTC), RFC 3339, or `never`. Default: the registry's, a year; 24 "
    "hours with the roles of groups. An identity's own keys always expire.",
)
OUT = click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="A new file for the key (mode 0600; never overwritten). An API key is then not shown.",
)


@click.group("key")
def keys() -> None:
    """Issue, register, rotate and revoke keys."""


@command(
    group=keys,
    examples="regista access key issue --own --out my.key\n"
    "regista access key issue --own --without-groups --expires 2026-12-31 --out year.key\n"
    "regista access key issue u-7k2m --out ann.key\n"
    "regista access key issue publisher:nightly --signing --out nightly.key.json",
)
@click.argument("subject", metavar="[IDENTITY]", required=False)
@click.option("--own", is_flag=True, help="For yourself: with your sign-in no admin is needed.")
@click.option(
    "--signing",
    is_flag=True,
    help="A signing key for Kafka instead of an API key. It is made here, and only its public half is sent.",
)
@click.option(
    "--without-groups",
    is_flag=True,
    help="With --own: the key has the roles that were granted to you, and none of your groups.",
)
@OUT
@EXPIRES
@OPTIONAL_REASON
def issue(
    session: Session,
    subject: str | None,
    own: bool,
    signing: bool,
    without_groups: bool,
    file: Path | None,
    expires: str | None,
    reason: str,
) -> None:
    """Issue an API key (shown once), or make and register a signing key.

    A key of your own always expires. With a sign-in it is an API key with the roles of your groups, too, and
    ends after 24 hours at most.
    """
    if own == (subject is not None):
        raise click.UsageError("name the identity, or give --own for a key of yourself")
    if without_groups and (signing or not own):
        raise click.UsageError("give --without-groups with --own: other keys have no roles of groups")
    settings = _settings(expires, reason)
    if subject is None:
        with session.client() as client:
            subject = str(client.whoami()["subject"])
    if signing:
        _register(session, subject, new_signing_key(subject, file), settings)
        return
    with _new_file(file) as descriptor, session.client() as client:
        got = client.issue_key(subject, **settings, without_groups=without_groups)
        _hand_over(session, got, file, descriptor)


@command(group=keys, examples="regista access key register publisher:nightly nightly.key.json")
@click.argument("subject", metavar="IDENTITY")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@EXPIRES
@OPTIONAL_REASON
def register(session: Session, subject: str, file: Path, expires: str | None, reason: str) -> None:
    """Register the public half of a signing key that `regista key generate` made."""
    from regista.files import signing_key  # noqa: PLC0415

    _register(session, subject, signing_key(file), _settings(expires, reason))


@command(
    group=keys,
    examples="regista access key rotate --out new.key\n"
    "regista access key rotate u-7k2m 7K2M…\n"
    "regista access key rotate publisher:nightly 9XQ… --signing --out new.key.json",
)
@click.argument("subject", metavar="[IDENTITY]", required=False)
@click.argument("key_id", required=False)
@click.option("--signing", is_flag=True, help="The key is a signing key: the new one is made here.")
@OUT
def rotate(
    session: Session, subject: str | None, key_id: str | None, signing: bool, file: Path | None
) -> None:
    """Issue a new key, then revoke the old one. Without IDENTITY: the API key that you use now.

    Each identity may rotate its own keys; those of others need an admin.
    """
    if subject and not key_id:
        raise click.UsageError(f"name the key, too: `regista access identity show {subject}` lists them")
    if signing and not subject:
        raise click.UsageError("name the identity and the signing key: rotate IDENTITY KEY_ID --signing")
    own = subject is None or key_id is None
    with _new_file(None if signing else file) as descriptor, session.client() as client:
        if subject is None or key_id is None:
            caller = client.whoami()
            if caller["key"] is None:
                raise click.UsageError("you use a sign-in and no API key: name the identity and the key")
            subject, key_id = str(caller["subject"]), str(caller["key"]["key_id"])
        public = _public(new_signing_key(subject, file)) if signing else {}
        got = client.rotate_key(subject, key_id, **public)
        if signing:
            session.one(got, str(got["key_id"]))
        else:
            _hand_over(session, got, file, descriptor)
    if own and session.for_people:
        say("Put it where your settings have the old one (api_key_file, REGISTA_API_KEY_FILE).", err=True)
    if not got["old_revoked"]:
        say(
            f"The new key is valid, but the outcome of revoking {key_id} is unknown: "
            f"`regista access key revoke {subject} {key_id}`.",
            err=True,
        )
        raise click.exceptions.Exit(1)


@command(
    group=keys,
    examples='regista access key revoke u-7k2m 7K2M… --reason "laptop lost"\n'
    "regista access key revoke service:artifact 5TJ… --compromised",
)
@click.argument("subject", metavar="IDENTITY")
@click.argument("key_id")
@OPTIONAL_REASON
@click.option(
    "--compromised",
    is_flag=True,
    help="Another person may have the key: its earlier signatures of a service become invalid, too.",
)
def revoke(session: Session, subject: str, key_id: str, reason: str, compromised: bool) -> None:
    """Revoke a key. Earlier events of a service stay valid, unless the key was compromised."""
    with session.client() as client:
        client.revoke_key(subject, key_id, reason, compromised=compromised)
    session.one({"subject": subject, "key_id": key_id, "revoked": True}, f"revoked {key_id}")


@contextmanager
def _new_file(file: Path | None) -> Iterator[int | None]:
    """Create the file before a key is issued, and remove it when none was. Raises click.UsageError."""
    if file is None:
        yield None
        return
    with creating(file):
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        yield descriptor
    except BaseException:
        file.unlink(missing_ok=True)
        raise
    finally:
        os.close(descriptor)


def _hand_over(session: Session, got: Mapping[str, Any], file: Path | None, descriptor: int | None) -> None:
    """Write a new API key into its file, or show it: no later answer has it."""
    if file is not None and descriptor is not None:
        try:
            os.write(descriptor, f"{got['api_key']}\n".encode("ascii"))
        except OSError as e:  # for example a full disk: the key must not be lost
            say(f"{file} could not be written ({e.strerror}): keep what is shown.", err=True)
        else:
            shown = {name: value for name, value in got.items() if name != "api_key"} | {"file": str(file)}
            session.one(shown, f"the key {got['key_id']} is in {file}")
            return
    session.one(got, str(got["api_key"]))
    if not session.json:
        say("This is the only time the key is shown.", err=True)


def _settings(expires: str | None, reason: str) -> dict[str, Any]:
    """Return what the registry is sent about a new key. Raises click.UsageError for what is no time."""
    return _expiry(expires) | ({"reason": reason} if reason else {})


def _expiry(expires: str | None) -> dict[str, Any]:
    if expires is None or expires == "never":
        return {"never_expires": True} if expires else {}
    try:
        return {"expires_at": f"{datetime.combine(date.fromisoformat(expires), time.min, UTC):%Y-%m-%dT%XZ}"}
    except ValueError:
        pass
    try:
        if datetime.fromisoformat(expires).tzinfo is not None:
            return {"expires_at": expires}
    except ValueError:
        pass
    raise click.UsageError(
        f"--expires {expires} is no time: write a day (2027-01-31), a time with its zone "
        "(2027-01-31T12:00:00Z), or never"
    )


def _register(session: Session, subject: str, made: SigningKey, settings: dict[str, Any]) -> None:
    with session.client() as client:
        got = client.issue_key(subject, **_public(made), **settings)
    session.one(got, f"registered the public half of {made.key_id} for {subject}")


def _public(made: SigningKey) -> dict[str, Any]:
    return {"key_id": made.key_id, "public_key": made.public.hex()}
