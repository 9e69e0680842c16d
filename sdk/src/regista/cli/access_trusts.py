"""`regista access trust …`: CI jobs that act as a publisher, without a stored secret."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.access_scopes import EVERYWHERE
from regista.cli.terminal.options import OPTIONAL_REASON, REASON
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import pairs


@click.group("trust")
def trusts() -> None:
    """Let CI jobs publish without a stored secret: GitHub Actions, GitLab, Kubernetes, any OIDC issuer."""


@command(
    group=trusts,
    examples="regista access trust add --issuer https://token.actions.githubusercontent.com "
    "--claim repository=acme/fraud --claim ref=refs/heads/main --publisher ci-fraud --namespace fraud\n"
    "regista access trust add --issuer https://gitlab.acme.example --claim project_path=acme/fraud "
    "--claim ref_protected=true --publisher ci-fraud --namespace fraud",
)
@click.option("--issuer", required=True, metavar="URL", help="What the job's tokens name in `iss`.")
@click.option(
    "--claim",
    "claims",
    multiple=True,
    required=True,
    metavar="NAME=VALUE",
    help="What the token has to state, exactly; a value that ends in /* stands for one more part "
    "(refs/tags/*). One claim names the project. Repeat it.",
)
@click.option("--publisher", required=True, metavar="IDENTITY", help="As whom the jobs act.")
@click.option(
    "--namespace", "namespaces", multiple=True, help="Where they may publish, and below. Repeat it."
)
@click.option("--everywhere", is_flag=True, help="In every namespace, and without one.")
@click.option("--audience", help="What the token has to name in `aud`. Default: regista.")
@click.option("--algorithm", "algorithms", multiple=True, help="As the issuer signs. Default: RS256.")
@click.option(
    "--starter-claim",
    metavar="NAME",
    help="The claim with the person who started the job, who never approves what it publishes. "
    "Default: actor (GitHub) or user_login (GitLab).",
)
@OPTIONAL_REASON
def add(
    session: Session,
    issuer: str,
    claims: tuple[str, ...],
    publisher: str,
    namespaces: tuple[str, ...],
    everywhere: bool,
    **settings: Any,
) -> None:
    """Let the jobs of a project act as a publisher, from now on."""
    if everywhere == bool(namespaces):
        raise click.UsageError("say where the jobs may publish: --namespace NAMESPACE, or --everywhere")
    where = [EVERYWHERE] if everywhere else list(namespaces)
    with session.client() as client:
        got = client.add_trust(issuer, pairs(claims, "claim"), publisher, where, **settings)
    session.one(got, f"{got['trust_id']}: jobs with these claims act as {publisher}")


@command("list", group=trusts, examples="regista access trust list")
def list_trusts(session: Session) -> None:
    """List which jobs act as which publisher."""
    with session.client() as client:
        found = client.trusts()
    columns = [
        ("trust", "trust_id"),
        ("publisher", "publisher"),
        ("namespaces", lambda one: ", ".join(one.get("namespaces") or ())),
        ("issuer", "issuer"),
        ("claims", _claims),
        ("audience", "audience"),
        ("live keys", "live_keys"),
        ("added by", "added_by"),
    ]
    session.items(found, columns, "no job acts as a publisher")


def _claims(item: Any) -> str:
    return ", ".join(f"{one['name']}={one['value']}" for one in item.get("claims") or ())


@command(group=trusts, examples='regista access trust remove t-4f0c2a91b7de --reason "the repository moved"')
@click.argument("trust_id", metavar="TRUST")
@REASON
def remove(session: Session, trust_id: str, reason: str) -> None:
    """Remove a trust: no job gets a key by it, and the keys that jobs have end immediately."""
    with session.client() as client:
        client.remove_trust(trust_id, reason)
    session.one({"trust_id": trust_id, "removed": True}, f"{trust_id} is removed, and its keys have ended")
