"""`regista access …`: identities and groups, their names and roles. Keys: access_keys.py."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, get_args

import click

from regista.choices import IdentityKind
from regista.cli.access_issuers import add_to, issuers
from regista.cli.access_keys import keys
from regista.cli.access_links import link, links, unlink
from regista.cli.access_scopes import ROLE, WHERE, in_words, namespace_of
from regista.cli.access_trusts import trusts
from regista.cli.terminal.options import OPTIONAL_REASON, REASON
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal

if TYPE_CHECKING:
    from regista.client.sync_client import Client


@click.group()
def access() -> None:
    """Manage identities, keys and roles. Every change is an event."""


access.add_command(keys)
access.add_command(issuers)
access.add_command(trusts)
access.add_command(link)
access.add_command(unlink)
access.add_command(links)


@access.group()
def identity() -> None:
    """List, show, create, disable and enable people, publishers and services."""


@command("list", group=identity, examples="regista access identity list")
def identities(session: Session) -> None:
    """List all identities with their roles and valid keys."""
    with session.client() as client:
        found = client.identities()
    columns = [
        ("identity", "subject"),
        ("kind", "kind"),
        ("name", _name),
        ("roles", _roles),
        ("valid keys", _valid_keys),
    ]
    session.items(found, columns, "no identities")


def _name(item: Any) -> str:
    return str(item.get("name") or ("(erased)" if item.get("name_erased_at") else ""))


def _valid_keys(item: Any) -> str:
    if item.get("disabled_at"):
        return f"none: disabled at {to_the_second(item['disabled_at'])}"
    keys = [k for k in item.get("keys") or () if not (k.get("revoked_at") or _is_over(k.get("expires_at")))]
    return ", ".join(f"{k['key_id']} ({k['algorithm']})" for k in keys)


def _is_over(expires_at: str | None) -> bool:
    return bool(expires_at) and datetime.fromisoformat(str(expires_at)) <= datetime.now(UTC)


def _roles(item: Any) -> str:
    held = [f"{r.get('role')}@{r.get('namespace')}" for r in item.get("roles") or ()]
    return ", ".join(dict.fromkeys(held))


@command("show", group=identity, examples="regista access identity show u-7k2m")
@click.argument("subject", metavar="IDENTITY")
def show_identity(session: Session, subject: str) -> None:
    """Show one identity. Each caller may read their own."""
    with session.client() as client:
        session.one(client.identity(subject))


@command(
    group=identity,
    examples='regista access identity create --kind person --name "Ann Example"\n'
    "regista access identity create publisher:nightly --kind publisher",
)
@click.argument("subject", metavar="[IDENTITY]", required=False)
@click.option("--kind", type=click.Choice(get_args(IdentityKind)), required=True)
@click.option(
    "--name",
    default="",
    help="Shown to people, and printed under what they sign. Stored outside the log, so it can be erased.",
)
@OPTIONAL_REASON
def create(session: Session, subject: str | None, kind: IdentityKind, name: str, reason: str) -> None:
    """Create an identity. It can do nothing before it has a key and a role.

    The log keeps IDENTITY permanently. Leave it out for a person: the registry makes a random one.
    """
    with session.client() as client:
        got = client.create_identity(subject, kind, name, reason)
    session.one(got, f"the identity {subject} is there now" if subject else f"created {got.get('subject')}")


@command(group=identity, examples='regista access identity disable u-7k2m --reason "left on 3 March"')
@click.argument("subject", metavar="IDENTITY")
@REASON
def disable(session: Session, subject: str, reason: str) -> None:
    """Disable an identity: its keys and roles stay, and have no effect until it is enabled."""
    with session.client() as client:
        session.one(client.disable_identity(subject, reason), f"{subject} is disabled")


@command(group=identity, examples='regista access identity enable u-7k2m --reason "back from leave"')
@click.argument("subject", metavar="IDENTITY")
@REASON
def enable(session: Session, subject: str, reason: str) -> None:
    """Enable a disabled identity, with the keys and roles that it has."""
    with session.client() as client:
        session.one(client.enable_identity(subject, reason), f"{subject} is enabled")


@access.group("group")
def groups() -> None:
    """Create groups, add and remove members, and give roles to groups of issuers.

    A role of a group is a role of each member.
    """


add_to(groups)


@command("create", group=groups, examples='regista access group create fraud-board --name "Fraud board"')
@click.argument("group")
@click.option("--name", default="", help="Shown to people.")
@OPTIONAL_REASON
def create_group(session: Session, group: str, name: str, reason: str) -> None:
    """Create a group. Grant it roles like an identity: `regista access grant GROUP ROLE --namespace …`."""
    with session.client() as client:
        session.one(client.create_identity(group, "group", name, reason), f"the group {group} is there now")


@command("add", group=groups, examples="regista access group add fraud-board u-7k2m")
@click.argument("group")
@click.argument("member")
@OPTIONAL_REASON
def add_member(session: Session, group: str, member: str, reason: str) -> None:
    """Add a person or publisher: it gets every role of the group."""
    with session.client() as client:
        session.one(client.add_member(group, member, reason), f"{member} is a member of {group}")


@command("remove", group=groups, examples="regista access group remove fraud-board u-7k2m")
@click.argument("group")
@click.argument("member")
@OPTIONAL_REASON
def remove_member(session: Session, group: str, member: str, reason: str) -> None:
    """Remove a member: it loses the roles of the group."""
    with session.client() as client:
        client.remove_member(group, member, reason)
    session.one({"subject": group, "member": member, "removed": True}, f"{member} left {group}")


@command("set-name", group=access, examples='regista access set-name u-7k2m "Ann Example-Smith"')
@click.argument("subject", metavar="IDENTITY")
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
@click.argument("subject", metavar="IDENTITY")
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


@command(
    group=access,
    examples="regista access grant u-7k2m approver --namespace fraud\n"
    "regista access grant u-7k2m auditor --everywhere",
)
@click.argument("subject", metavar="IDENTITY")
@click.argument("role", type=ROLE)
@WHERE
@OPTIONAL_REASON
def grant(
    session: Session, subject: str, role: str, namespace: str | None, everywhere: bool, reason: str
) -> None:
    """Grant a role to an identity or a group, in a namespace or everywhere."""
    namespace = namespace_of(namespace, everywhere, f"where {subject} becomes {role}")
    with session.client() as client:
        got = client.grant(subject, role, namespace, reason)
    session.one(got, f"{subject} is {role} {in_words(namespace)}")
    if session.for_people:
        notes: Sequence[str] = got.get("notes") or ()
        for note in notes:
            say(f"note: {note}", err=True, fg="yellow")


@command(
    group=access,
    examples="regista access ungrant u-7k2m approver --namespace fraud\n"
    "regista access ungrant u-7k2m auditor --everywhere",
)
@click.argument("subject", metavar="IDENTITY")
@click.argument("role", type=ROLE)
@WHERE
@OPTIONAL_REASON
def ungrant(
    session: Session, subject: str, role: str, namespace: str | None, everywhere: bool, reason: str
) -> None:
    """Revoke a role: the grant in this namespace, or the one everywhere."""
    namespace = namespace_of(namespace, everywhere, f"which grant of {role} {subject} loses")
    with session.client() as client:
        held = _granted(client, subject)
        client.revoke_role(subject, role, namespace, reason)
    revoked = held is None or (role, namespace) in held
    done = f"{subject} is no longer {role} {in_words(namespace)}"
    if not revoked:
        others = ", ".join(f"{one} {in_words(scope)}" for one, scope in held or ()) or "no role"
        done = f"{subject} was not {role} {in_words(namespace)}: nothing changed. Granted are: {others}"
    answer = {"subject": subject, "role": role, "namespace": namespace, "revoked": revoked}
    session.one(answer, done)


def _granted(client: Client, subject: str) -> Sequence[tuple[str, str]] | None:
    """Return the roles and namespaces that an identity has by itself; None for who may not read them."""
    from regista.errors import Forbidden  # noqa: PLC0415 - the help needs no errors

    try:
        roles = client.identity(subject).get("roles") or ()
    except Forbidden:
        return None
    return [(str(one["role"]), str(one["namespace"])) for one in roles if not one.get("group")]
