"""`regista access link`, `unlink` and `links`: which identities and logins are of one human being."""

from __future__ import annotations

from pathlib import Path

import click

from regista.cli.terminal.options import REASON
from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command

LIMIT = click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
LOGIN = click.option(
    "--login",
    metavar="NAME",
    help="Instead of OTHER: a name under which the person starts jobs, as `started by` shows it.",
)


@command(
    examples='regista access link u-7k2m ann --reason "her identity from before the sign-in"\n'
    'regista access link u-7k2m --login octocat --reason "her account at GitHub"\n'
    'regista access link --own --key-file other.key --reason "mine, from before the sign-in"'
)
@click.argument("subject", metavar="[IDENTITY]", required=False)
@click.argument("other", metavar="[OTHER]", required=False)
@LOGIN
@click.option("--own", is_flag=True, help="For yourself, with --key-file: no admin is needed.")
@click.option(
    "--key-file",
    "file",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="With --own: the file with an API key of your other identity, which proves that it is yours.",
)
@REASON
def link(
    session: Session,
    subject: str | None,
    other: str | None,
    login: str | None,
    own: bool,
    file: Path | None,
    reason: str,
) -> None:
    """Count two identities of one human being as one person, or an identity and a login of jobs.

    The person then approves nothing that one of them made, requested or started, and approves once. Rights
    stay those of each identity.
    """
    if own:
        if file is None or subject or other or login:
            raise click.UsageError("give --key-file with --own, and neither identities nor --login")
        with session.client() as client:
            me = str(client.whoami()["subject"])
            got = client.link_identity(me, reason=reason, proof=file.read_text("utf-8").strip())
        linked = ", ".join(one["other"] for one in got["links"] or ())
        session.one(got, f"{me} is one person with {linked}")
        return
    one, another = _pair(subject, other, login)
    if file is not None:
        raise click.UsageError("give --key-file with --own only")
    with session.client() as client:
        got = client.link_identity(one, another, reason=reason, login=login is not None)
    session.one(got, f"{one} and {another} count as one person")


@command(
    examples='regista access unlink u-7k2m ann --reason "two people of one name"\n'
    'regista access unlink u-7k2m --login octocat --reason "the account is of another person now"'
)
@click.argument("subject", metavar="IDENTITY")
@click.argument("other", metavar="[OTHER]", required=False)
@LOGIN
@REASON
def unlink(session: Session, subject: str, other: str | None, login: str | None, reason: str) -> None:
    """Count them as two people from now on. What was decided before keeps the links of its time."""
    one, another = _pair(subject, other, login)
    by_login = login is not None
    with session.client() as client:
        client.unlink_identity(one, another, reason, login=by_login)
    answer = {"subject": one, "other": another, "login": by_login, "unlinked": True}
    session.one(answer, f"{one} and {another} count as two people")


@command(examples="regista access links\nregista access links --json | jq '.[].reason'")
@LIMIT
def links(session: Session, limit: int) -> None:
    """List which identities and logins count as one person, since when, by whom and why."""
    with session.client() as client:
        found = client.links(limit)
        shown = naming(session, client, (one[name] for one in found for name in ("subject", "linked_by")))
    columns = [
        ("identity", "subject"),
        ("is one person with", lambda one: f"{one['other']} (login)" if one["login"] else str(one["other"])),
        ("since", lambda one: to_the_second(one["linked_at"])),
        ("by", lambda one: shown(one["linked_by"])),
        ("why", "reason"),
    ]
    session.items(found, columns, "no identities are linked", limit)


def _pair(subject: str | None, other: str | None, login: str | None) -> tuple[str, str]:
    """Return the identity, and what it is linked with. Raises click.UsageError."""
    if not subject or (other is None) == (login is None):
        raise click.UsageError("name two identities, or one identity and --login")
    return subject, str(other or login)
