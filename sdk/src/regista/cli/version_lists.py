"""`regista versions list`: the versions of a model or of all models, by what they are."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.terminal import versions_shown as columns_of
from regista.cli.terminal.moments import SINCE, UNTIL
from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command

STAGES = ["Draft", "Staging", "Validated", "Production", "Archived", "Rejected"]


def add_to(group: click.Group) -> None:
    """Add the command to the group `versions`."""
    group.add_command(list_)


@command(
    "list",
    examples="regista versions list churn\n"
    "regista versions list churn --stage Validated --metric 'auc>0.9'\n"
    "regista versions list --tag data=april --created-by u-ann --since 2026-03-01",
)
@click.argument("model", required=False)
@click.option("--stage", type=click.Choice(STAGES, case_sensitive=False))
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME[=VALUE]", help="Has this tag; may be given more than once."
)
@click.option(
    "--metric", "metrics", multiple=True, metavar="CONDITION", help="For example 'auc>0.9' or 'loss<=0.2'."
)
@click.option("--created-by", metavar="CREATOR", help="The creator, as the list shows it.")
@click.option("--dataset", metavar="NAME|DIGEST", help="The training data.")
@SINCE
@UNTIL
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def list_(
    session: Session,
    model: str | None,
    limit: int,
    tags: tuple[str, ...],
    metrics: tuple[str, ...],
    **filters: Any,
) -> None:
    """List the versions of a model, or of all that you may read, newest first. All conditions must hold."""
    with session.client() as client:
        found = client.versions(model, limit, tags=tags, metrics=metrics, **filters)
        shown = naming(session, client, (version.get("creator") for version in found))
    columns: list[Any] = [
        ("number", "number") if model else ("name", lambda v: f"{v.get('model')}@{v.get('number')}"),
        ("version", "semver"),
        ("stage", "stage"),
        ("metric", columns_of.metric),
        ("bump", columns_of.bump),
        ("creator", lambda v: shown(v.get("creator"))),
        ("registered", lambda v: to_the_second(v.get("registered_at"))),
        ("remarks", columns_of.remarks),
    ]
    session.items(found, columns, f"{model} has no such versions" if model else "no such versions", limit)
