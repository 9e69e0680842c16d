"""`regista access issuer …`, and the roles of the groups of issuers: `regista access group map …`."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.access_scopes import ROLE, WHERE, in_words, namespace_of
from regista.cli.terminal.options import OPTIONAL_REASON, REASON
from regista.cli.terminal.session import Session, command

ISSUER = click.option(
    "--issuer", metavar="URL", help="The issuer, by its URL or key. Only needed where several are trusted."
)


@click.group("issuer")
def issuers() -> None:
    """Trust issuers of tokens: the company's own sign-in (OpenID Connect)."""


@command(
    group=issuers,
    examples="regista access issuer trust https://sso.acme.example/realms/acme\n"
    "regista access issuer trust https://login.acme.example --algorithm ES256 --groups-claim roles",
)
@click.argument("issuer", metavar="URL")
@click.option("--audience", help="What a token has to name in `aud`. Default: regista.")
@click.option("--client-id", help="The client that people sign in with. Default: regista-cli.")
@click.option("--scope", "scopes", multiple=True, help="Repeat it. Default: openid and profile.")
@click.option("--algorithm", "algorithms", multiple=True, help="As the issuer signs. Default: RS256.")
@click.option("--groups-claim", help="The claim with the groups of a person. Default: groups.")
@OPTIONAL_REASON
def trust(session: Session, issuer: str, **settings: Any) -> None:
    """Trust the tokens of an issuer, or replace its settings. URL is what its tokens name in `iss`."""
    with session.client() as client:
        got = client.trust_issuer(issuer, **settings)
    session.one(got, f"{issuer} is trusted; give roles to its groups: regista access group map")


@command("list", group=issuers, examples="regista access issuer list")
def list_issuers(session: Session) -> None:
    """List the issuers that are or were trusted."""
    with session.client() as client:
        found = client.issuers()
    columns = [
        ("issuer", "issuer"),
        ("trusted", lambda one: "yes" if one.get("trusted") else "no"),
        ("audience", "audience"),
        ("client", "client_id"),
        ("algorithms", lambda one: ", ".join(one.get("algorithms") or ())),
        ("key", "key"),
    ]
    session.items(found, columns, "no issuer is trusted")


@command(
    group=issuers,
    examples='regista access issuer distrust https://sso.acme.example/realms/acme --reason "its key leaked"',
)
@click.argument("issuer", metavar="URL")
@REASON
def distrust(session: Session, issuer: str, reason: str) -> None:
    """Stop trusting an issuer: its tokens end immediately. API keys go on working."""
    with session.client() as client:
        client.distrust_issuer(issuer, reason)
    session.one({"issuer": issuer, "trusted": False}, f"{issuer} is not trusted any more")


def add_to(groups: click.Group) -> None:
    """Add the commands about groups of issuers to `regista access group`."""
    for one in (map_group, unmap_group, list_groups):
        groups.add_command(one)


@command(
    "map",
    examples="regista access group map fraud-approvers approver --namespace fraud\n"
    "regista access group map auditors auditor --everywhere --issuer https://sso.acme.example/realms/acme",
)
@click.argument("group")
@click.argument("role", type=ROLE)
@WHERE
@ISSUER
@OPTIONAL_REASON
def map_group(
    session: Session,
    group: str,
    role: str,
    namespace: str | None,
    everywhere: bool,
    issuer: str | None,
    reason: str,
) -> None:
    """Give a role to who signs in as a member of an issuer's group, from each one's next sign-in."""
    namespace = namespace_of(namespace, everywhere, f"where members of {group} become {role}")
    with session.client() as client:
        got = client.map_group(group, role, namespace, issuer, reason=reason)
    session.one(got, f"members of {group} are {role} {in_words(namespace)} once they sign in")


@command("unmap", examples="regista access group unmap fraud-approvers approver --namespace fraud")
@click.argument("group")
@click.argument("role", type=ROLE)
@WHERE
@ISSUER
@OPTIONAL_REASON
def unmap_group(
    session: Session,
    group: str,
    role: str,
    namespace: str | None,
    everywhere: bool,
    issuer: str | None,
    reason: str,
) -> None:
    """Take a role from an issuer's group, and from all its members immediately."""
    namespace = namespace_of(namespace, everywhere, f"which role of {group} ends")
    with session.client() as client:
        client.unmap_group(group, role, namespace, issuer, reason=reason)
    done = {"group": group, "role": role, "namespace": namespace, "mapped": False}
    session.one(done, f"members of {group} are no longer {role} {in_words(namespace)} through it")


@command("list", examples="regista access group list")
def list_groups(session: Session) -> None:
    """List the groups of issuers that have roles."""
    with session.client() as client:
        found = [
            {**group, "issuer": one["issuer"], "trusted": one["trusted"]}
            for one in client.issuers()
            for group in one["groups"]
        ]
    columns = [
        ("group", "group"),
        ("role", "role"),
        ("namespace", "namespace"),
        ("mapped by", "mapped_by"),
        ("issuer", lambda one: f"{one['issuer']}{'' if one['trusted'] else ' (not trusted)'}"),
    ]
    session.items(found, columns, "no group of an issuer has a role")
