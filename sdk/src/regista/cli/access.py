"""`regista access …`: identities, their names, keys and roles.

Private keys never leave this machine.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.key import OUT, new_signing_key
from regista.cli.terminal.output import say
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal

if TYPE_CHECKING:
    from regista.wire.keys import SigningKey

ROLE = click.Choice(["publisher", "engineer", "approver", "auditor", "admin", "override"])


@click.group()
def access() -> None:
    """Manage identities, keys and roles. Every change is an event."""


@access.group()
def identity() -> None:
    """List, show and create people, publishers and services."""


@command("list", group=identity, examples="regista access identity list")
def identities(session: Session) -> None:
    """List all identities with their roles and valid keys."""
    with session.client() as client:
        found = client.identities()
    columns = [
        ("subject", "subject"),
        ("kind", "kind"),
        ("name", _name),
        ("roles", _roles),
        ("valid keys", _valid_keys),
    ]
    session.items(found, columns, "no identities")


def _name(item: Any) -> str:
    return str(item.get("name") or ("(erased)" if item.get("name_erased_at") else ""))


def _valid_keys(item: Any) -> str:
    return ", ".join(
        f"{k['key_id']} ({k['algorithm']})" for k in item.get("keys") or () if not k.get("revoked_at")
    )


def _roles(item: Any) -> str:
    return ", ".join(f"{r.get('role')}@{r.get('namespace')}" for r in item.get("roles") or ())


@command("show", group=identity, examples="regista access identity show person:ann")
@click.argument("subject")
def show_identity(session: Session, subject: str) -> None:
    """Show one identity. Each caller may read their own."""
    with session.client() as client:
        session.one(client.identity(subject))


@command(
    group=identity,
    examples='regista access identity create --kind person --name "Ann Example"\n'
    "regista access identity create publisher:nightly --kind publisher",
)
@click.argument("subject", required=False)
@click.option("--kind", type=click.Choice(["person", "publisher", "service"]), required=True)
@click.option(
    "--name",
    default="",
    help="Shown to people, and printed under what they sign. Stored outside the log, so it can be erased.",
)
def create(session: Session, subject: str | None, kind: str, name: str) -> None:
    """Create an identity. It can do nothing before it has a key and a role.

    The log keeps SUBJECT permanently. Leave it out for a person: the registry makes a random one.
    """
    with session.client() as client:
        got = client.create_identity(subject, kind, name)
    session.one(got, f"created {got.get('subject', subject)}")


@command("set-name", group=access, examples='regista access set-name u-7k2m "Ann Example-Smith"')
@click.argument("subject")
@click.argument("name")
def set_name(session: Session, subject: str, name: str) -> None:
    """Set or correct a name. Earlier signatures keep the name printed on them."""
    with session.client() as client:
        session.one(client.set_name(subject, name), f"the name of {subject} is {name}")


@command(
    "erase-name",
    group=access,
    examples='regista access erase-name u-7k2m --reason "asked for it by letter of 3 March"',
)
@click.argument("subject")
@click.option(
    "--reason", required=True, help="Kept in the audit trail permanently: write it without the name."
)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation.")
def erase_name(session: Session, subject: str, reason: str, yes: bool) -> None:
    """Erase a name permanently.

    Signed reviews and overrides keep the name printed on them, as long as those records are kept. Backups
    contain it until they are deleted. The log keeps who erased it, when and why, without the name.
    """
    if not yes:
        if session.json or not on_a_terminal():
            raise click.UsageError(f"add --yes to erase the name of {subject} without a confirmation")
        confirm(f"Erase the name of {subject} permanently?")
    with session.client() as client:
        got = client.erase_name(subject, reason)
    session.one(got, f"the name of {subject} is erased. {got.get('kept', '')}")


@access.group("key")
def keys() -> None:
    """Issue, register, rotate and revoke keys."""


@command(
    group=keys,
    examples="regista access key issue person:ann\n"
    "regista access key issue publisher:nightly --signing --out nightly.key.json",
)
@click.argument("subject")
@click.option(
    "--signing",
    is_flag=True,
    help="A signing key for Kafka instead of an API key. It is made here, and only its public half is sent.",
)
@OUT
@click.option("--expires", metavar="TIME", help="RFC 3339. Default: the key is valid until it is revoked.")
def issue(session: Session, subject: str, signing: bool, file: Path | None, expires: str | None) -> None:
    """Issue an API key (shown once), or make and register a signing key."""
    if signing:
        made = new_signing_key(subject, file)
        _register(session, subject, made, expires)
        return
    with session.client() as client:
        got = client.issue_key(subject, expires_at=expires)
    session.one(got, str(got["api_key"]))
    if not session.json:
        say("This is the only time the key is shown.", err=True)


@command(group=keys, examples="regista access key register publisher:nightly nightly.key.json")
@click.argument("subject")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--expires", metavar="TIME", help="RFC 3339.")
def register(session: Session, subject: str, file: Path, expires: str | None) -> None:
    """Register the public half of a signing key that `regista key generate` made."""
    from regista.files import signing_key  # noqa: PLC0415

    _register(session, subject, signing_key(file), expires)


@command(
    group=keys,
    examples="regista access key rotate person:ann 7K2M…\n"
    "regista access key rotate publisher:nightly 9XQ… --signing --out new.key.json",
)
@click.argument("subject")
@click.argument("key_id")
@click.option("--signing", is_flag=True, help="The key is a signing key: the new one is made here.")
@OUT
def rotate(session: Session, subject: str, key_id: str, signing: bool, file: Path | None) -> None:
    """Issue a new key, then revoke the old one."""
    with session.client() as client:
        got = client.rotate_key(
            subject, key_id, **(_public(new_signing_key(subject, file)) if signing else {})
        )
    session.one(got, str(got.get("api_key") or got["key_id"]))
    if not got["old_revoked"]:
        say(
            f"The new key is valid, but the outcome of revoking {key_id} is unknown: "
            f"`regista access key revoke {subject} {key_id}`.",
            err=True,
        )
        raise click.exceptions.Exit(1)


@command(
    group=keys,
    examples='regista access key revoke person:ann 7K2M… --reason "laptop lost"\n'
    "regista access key revoke service:artifact 5TJ… --compromised",
)
@click.argument("subject")
@click.argument("key_id")
@click.option("--reason", default="")
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


@command(group=access, examples="regista access grant person:ann approver --namespace fraud")
@click.argument("subject")
@click.argument("role", type=ROLE)
@click.option(
    "--namespace", default="*", show_default=True, help="The namespace and all below it; * is everywhere."
)
def grant(session: Session, subject: str, role: str, namespace: str) -> None:
    """Grant a role."""
    with session.client() as client:
        session.one(client.grant(subject, role, namespace), f"{subject} is {role} in {namespace}")


@command(group=access, examples="regista access ungrant person:ann approver --namespace fraud")
@click.argument("subject")
@click.argument("role", type=ROLE)
@click.option("--namespace", default="*", show_default=True)
def ungrant(session: Session, subject: str, role: str, namespace: str) -> None:
    """Revoke a role."""
    with session.client() as client:
        client.revoke_role(subject, role, namespace)
    session.one(
        {"subject": subject, "role": role, "namespace": namespace, "revoked": True},
        f"{subject} is no longer {role} in {namespace}",
    )


def _register(session: Session, subject: str, made: SigningKey, expires: str | None) -> None:
    with session.client() as client:
        got = client.issue_key(subject, **_public(made), expires_at=expires)
    session.one(got, f"registered the public half of {made.key_id} for {subject}")


def _public(made: SigningKey) -> dict[str, Any]:
    return {"key_id": made.key_id, "public_key": made.public.hex()}
