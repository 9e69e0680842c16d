"""`regista access …` and `regista key …`: who may do what, and who they are.

Private keys never leave this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from regista.cli.promotion import on_a_terminal
from regista.cli.session import Session, command

OUT = click.option(
    "--out",
    "file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Where to write the signing key (mode 0600; never overwritten).",
)
ROLE = click.Choice(["publisher", "engineer", "approver", "auditor", "admin", "override"])


@click.group()
def access() -> None:
    """Identities, keys and roles. Every change is an event."""


@access.group()
def identity() -> None:
    """People, publishers and services."""


@command("list", group=identity, examples="regista access identity list")
def identities(session: Session) -> None:
    """All identities with their roles and keys."""
    with session.client() as client:
        found = client.identities()
    columns = [
        ("subject", "subject"),
        ("kind", "kind"),
        ("name", _name),
        ("roles", _roles),
        ("live keys", _live),
    ]
    session.items(found, columns, "no identities")


def _name(item: Any) -> str:
    return str(item.get("name") or ("(erased)" if item.get("name_erased_at") else ""))


def _live(item: Any) -> str:
    return ", ".join(
        f"{k['key_id']} ({k['algorithm']})" for k in item.get("keys") or () if not k.get("revoked_at")
    )


def _roles(item: Any) -> str:
    return ", ".join(f"{r.get('role')}@{r.get('namespace')}" for r in item.get("roles") or ())


@command("show", group=identity, examples="regista access identity show person:ann")
@click.argument("subject")
def show_identity(session: Session, subject: str) -> None:
    """One identity; everybody may read their own."""
    with session.client() as client:
        session.one(client.identity(subject))


@command(
    group=identity,
    examples='regista access identity create --kind person --name "Ann Example"\nregista access identity create publisher:nightly --kind publisher',
)
@click.argument("subject", required=False)
@click.option("--kind", type=click.Choice(["person", "publisher", "service"]), required=True)
@click.option(
    "--name",
    default="",
    help="Shown to people and printed under what they sign. Not in the log: it can be erased.",
)
def create(session: Session, subject: str | None, kind: str, name: str) -> None:
    """A new identity; it can do nothing before it has a key and a role.

    The log holds SUBJECT for ever. For a person leave it out, and one is made that says nothing about them.
    """
    with session.client() as client:
        got = client.create_identity(subject, kind, name)
    session.one(got, f"created {got.get('subject', subject)}")


@command("set-name", group=access, examples='regista access set-name u-7k2m "Ann Example-Smith"')
@click.argument("subject")
@click.argument("name")
def set_name(session: Session, subject: str, name: str) -> None:
    """Gives or corrects a name. What was signed before keeps the name it was signed with."""
    with session.client() as client:
        session.one(client.set_name(subject, name), f"{subject} is {name} now")


@command(
    "erase-name",
    group=access,
    examples='regista access erase-name u-7k2m --reason "asked for it by letter of 3 March"',
)
@click.argument("subject")
@click.option("--reason", required=True, help="Stands in the audit trail for ever: say it without the name.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def erase_name(session: Session, subject: str, reason: str, yes: bool) -> None:
    """Forgets a name; it does not come back.

    Reviews and overrides that were signed keep the name printed on them, as long as those records are kept.
    Backups hold it until they are deleted. Who erased it, when and why stays in the log, without the name.
    """
    if not yes:
        if session.json or not on_a_terminal():
            raise click.UsageError(f"say --yes to erase the name of {subject} where nobody can be asked")
        click.confirm(f"Forget the name of {subject} for ever?", abort=True)
    with session.client() as client:
        got = client.erase_name(subject, reason)
    session.one(got, f"the name of {subject} is erased. {got.get('kept', '')}")


@access.group("key")
def keys() -> None:
    """Issue, register, rotate and revoke keys of identities."""


@command(
    group=keys,
    examples="regista access key issue person:ann\nregista access key issue publisher:nightly --signing --out nightly.key.json",
)
@click.argument("subject")
@click.option(
    "--signing",
    is_flag=True,
    help="A signing key for Kafka instead of an API key: made here, only its public half is sent.",
)
@OUT
@click.option("--expires", metavar="TIME", help="RFC 3339; without it the key lasts until it is revoked.")
def issue(session: Session, subject: str, signing: bool, file: Path | None, expires: str | None) -> None:
    """Issues an API key (shown once), or makes and registers a signing key."""
    if signing:
        made = _made(subject, file)
        _register(session, subject, made, expires)
        return
    with session.client() as client:
        got = client.issue_key(subject, expires_at=expires)
    session.one(got, str(got["api_key"]))
    if not session.json:
        click.echo("This is the only time the key is shown.", err=True)


@command(group=keys, examples="regista access key register publisher:nightly nightly.key.json")
@click.argument("subject")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--expires", metavar="TIME", help="RFC 3339.")
def register(session: Session, subject: str, file: Path, expires: str | None) -> None:
    """Registers the public half of a signing key that `regista key generate` made."""
    from regista.files import signing_key  # noqa: PLC0415

    _register(session, subject, signing_key(file), expires)


@command(
    group=keys,
    examples="regista access key rotate person:ann 7K2M…\nregista access key rotate publisher:nightly 9XQ… --signing --out new.key.json",
)
@click.argument("subject")
@click.argument("key_id")
@click.option("--signing", is_flag=True, help="The key is a signing key: the new one is made here.")
@OUT
def rotate(session: Session, subject: str, key_id: str, signing: bool, file: Path | None) -> None:
    """A new key in place of an old one, which stops working once the new one is here."""
    with session.client() as client:
        got = client.rotate_key(subject, key_id, **(_public(_made(subject, file)) if signing else {}))
    session.one(got, str(got.get("api_key") or got["key_id"]))
    if not got["old_revoked"]:
        click.echo(
            f"The new key counts. Whether {key_id} was revoked is not known: `regista access key revoke {subject} {key_id}`.",
            err=True,
        )
        raise click.exceptions.Exit(1)


@command(
    group=keys,
    examples='regista access key revoke person:ann 7K2M… --reason "laptop lost"\nregista access key revoke service:artifact 5TJ… --compromised',
)
@click.argument("subject")
@click.argument("key_id")
@click.option("--reason", default="")
@click.option(
    "--compromised",
    is_flag=True,
    help="Somebody else may have it: what a service signed with it before counts no more either.",
)
def revoke(session: Session, subject: str, key_id: str, reason: str, compromised: bool) -> None:
    """From now on the key opens nothing; a service's earlier events still count, unless it was compromised."""
    with session.client() as client:
        client.revoke_key(subject, key_id, reason, compromised=compromised)
    session.one({"subject": subject, "key_id": key_id, "revoked": True}, f"revoked {key_id}")


@command(group=access, examples="regista access grant person:ann approver --namespace fraud")
@click.argument("subject")
@click.argument("role", type=ROLE)
@click.option(
    "--namespace", default="*", show_default=True, help="With all namespaces below it; * is everywhere."
)
def grant(session: Session, subject: str, role: str, namespace: str) -> None:
    """Gives a role."""
    with session.client() as client:
        session.one(client.grant(subject, role, namespace), f"{subject} is {role} in {namespace}")


@command(group=access, examples="regista access ungrant person:ann approver --namespace fraud")
@click.argument("subject")
@click.argument("role", type=ROLE)
@click.option("--namespace", default="*", show_default=True)
def ungrant(session: Session, subject: str, role: str, namespace: str) -> None:
    """Takes a role back."""
    with session.client() as client:
        client.revoke_role(subject, role, namespace)
    session.one(
        {"subject": subject, "role": role, "namespace": namespace, "revoked": True},
        f"{subject} is no longer {role} in {namespace}",
    )


@click.group()
def key() -> None:
    """Signing keys on this machine."""


@command(group=key, examples="regista key generate publisher:nightly --out nightly.key.json")
@click.argument("subject")
@OUT
def generate(session: Session, subject: str, file: Path | None) -> None:
    """Makes a signing key and prints its public half, for an admin to register."""
    made = _made(subject, file)
    told = {
        "subject": subject,
        "key_id": made.key_id,
        "public_key": made.public.hex(),
        "algorithm": "ed25519",
        "file": str(file),
    }
    session.one(told)


def _made(subject: str, file: Path | None) -> Any:
    from regista.wire.keys import generate_signing_key  # noqa: PLC0415

    if file is None:
        raise click.UsageError("say where to write the signing key: --out FILE")
    made = generate_signing_key(subject)
    try:
        made.save(file)
    except FileExistsError:
        raise click.UsageError(f"{file} exists already; a key is never overwritten") from None
    except OSError as e:
        raise click.UsageError(
            f"{file} cannot be written: {e.strerror}; name a file in a folder that is there"
        ) from None
    return made


def _register(session: Session, subject: str, made: Any, expires: str | None) -> None:
    with session.client() as client:
        got = client.issue_key(subject, **_public(made), expires_at=expires)
    session.one(got, f"registered the public half of {made.key_id} for {subject}")


def _public(made: Any) -> dict[str, Any]:
    return {"key_id": made.key_id, "public_key": made.public.hex()}
