"""`regista policy …`."""

from __future__ import annotations

from pathlib import Path

import click

from regista.cli.terminal.options import IF_REVISION
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import read_policy


@click.group()
def policy() -> None:
    """List, show and publish gate policies."""


@command("list", group=policy, examples="regista policy list")
def policies(session: Session) -> None:
    """List the policies in force."""
    with session.client() as client:
        found = client.policies()
        shown = naming(session, client, (policy.get("published_by") for policy in found))
    columns = [
        ("name", "name"),
        ("revision", "revision"),
        ("active", "active"),
        ("published by", lambda p: shown(p.get("published_by"))),
        ("digest", "digest"),
    ]
    session.items(found, columns, "no policies")


@command(group=policy, examples="regista policy show production-high --json > policy.json")
@click.argument("name")
def show(session: Session, name: str) -> None:
    """Show one policy with its gates and its revision."""
    with session.client() as client:
        session.one(client.policy(name))


@command(
    group=policy,
    examples="regista policy publish production-high policy.yaml\n"
    "regista policy publish production-high policy.yaml --if-revision 3",
)
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@IF_REVISION
def publish(session: Session, name: str, file: Path, expected: int | None) -> None:
    """Publish a new revision of a policy (JSON, or YAML with PyYAML installed)."""
    content = read_policy(file)
    with session.client() as client:
        session.one(client.publish_policy(name, content, expected=expected), f"published policy {name}")
