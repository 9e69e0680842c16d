"""`regista models …`."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.terminal.moments import AT
from regista.cli.terminal.options import IF_REVISION, KINDS, TIERS
from regista.cli.terminal.output import say
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import pairs


@click.group()
def models() -> None:
    """List, show, create and edit models."""


@command(
    "list",
    group=models,
    examples="regista models list\n"
    "regista models list --owner team:risk --tag domain=payments\n"
    "regista models list --kind embedding --json | jq -r '.[].model'\n"
    "regista models list --at 2026-03-01",
)
@click.option("--search", help="Part of the name.")
@click.option("--kind", type=KINDS)
@click.option("--tier", type=TIERS)
@click.option("--owner")
@click.option(
    "--tag", "tags", multiple=True, metavar="NAME[=VALUE]", help="Has this tag; may be given more than once."
)
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
@AT
def list_(session: Session, limit: int, tags: tuple[str, ...], moment: str | None, **filters: Any) -> None:
    """List the models that you may read; with --at those that there were, as they were."""
    if moment and (tags or any(filters.values())):
        raise click.UsageError("give --at without filters: a list of a moment is not filtered")
    with session.client() as client:
        then = client.models_at(moment, limit) if moment else None
        found = then["items"] if then else client.models(limit, tags=tags, **filters)
        shown = naming(session, client, (model.get("owner") for model in found))
    columns = [
        ("name", "model"),
        ("kind", "kind"),
        ("owner", lambda m: shown(m.get("owner"))),
        ("tier", "tier"),
        ("newest", _newest),
        ("in production", "production"),
        ("description", "description"),
    ]
    is_filtered = bool(tags) or any(filters.values())
    nothing = "no such models" if is_filtered else "no models: publish one with `regista publish`"
    session.items(found, columns, "there was no model then" if moment else nothing, limit)
    for name in then["too_long"] if then else ():
        say(f"{name} is not shown: it has too many events, see `regista timeline {name} --until`", err=True)


def _newest(item: Any) -> str:
    number = item.get("newest")
    return "" if number is None else f"{number}: {item.get('newest_semver') or 'draft'}"


@command(
    group=models, examples="regista models show churn\nregista models show churn --at 2026-03-01T12:00:00Z"
)
@click.argument("model")
@AT
def show(session: Session, model: str, moment: str | None) -> None:
    """Show one model, by name or id, with its revision; or as it was."""
    with session.client() as client:
        session.one(client.model(model, moment))


@command(
    group=models,
    examples="regista models create fraud.cards --owner team:risk --tier high --tag domain=payments",
)
@click.argument("name")
@click.option("--kind", type=KINDS, default="model", show_default=True)
@click.option("--description")
@click.option("--owner", help="An identity, for example team:risk.")
@click.option("--tier", type=TIERS, help="Risk tier: selects the policies that apply.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE")
def create(session: Session, name: str, tags: tuple[str, ...], **described: Any) -> None:
    """Create a model without versions. Publishing a version creates a missing model, too."""
    with session.client() as client:
        made = client.create_model(name, **described, tags=pairs(tags, "tag") or None)
    session.one(made, f"created {name}")


@command(
    group=models,
    examples="regista models edit churn --owner team:retention\n"
    "regista models edit churn --rename attrition\n"
    "regista models edit churn --tag domain=retail --untag beta\n"
    'regista models edit churn --description ""   # clears it\n'
    "seen=$(regista models show churn --json | jq .revision)\n"
    "regista models edit churn --tier high --if-revision $seen",
)
@click.argument("model")
@click.option("--rename", "name", metavar="NAME", help="The new name; the id stays.")
@click.option("--description", help='An empty one ("") clears it.')
@click.option("--owner")
@click.option("--tier", type=TIERS)
@click.option(
    "--tag",
    "tags",
    multiple=True,
    metavar="NAME=VALUE",
    help="Add a tag, or change its value; other tags stay. May be given more than once.",
)
@click.option("--untag", multiple=True, metavar="NAME", help="Remove a tag. May be given more than once.")
@IF_REVISION
def edit(
    session: Session,
    model: str,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
    expected: int | None,
    **changes: Any,
) -> None:
    """Change the name, description, owner, tier or tags of a model."""
    added = pairs(tags, "tag")
    if both := sorted(added.keys() & set(untag)):
        raise click.UsageError(f"--tag and --untag name the same tag: {', '.join(both)}")
    given: dict[str, str | None] = {**added, **dict.fromkeys(untag)}
    if all(value is None for value in changes.values()) and not given:
        raise click.UsageError(
            "name what to change: --rename, --description, --owner, --tier, --tag or --untag"
        )
    with session.client() as client:
        got = client.edit_model(model, **changes, tags=given or None, expected=expected)
    session.one(got, f"changed {model}")
