"""`regista models …` and `regista alias …`."""

from __future__ import annotations

from typing import Any

import click

from regista.cli.people import naming
from regista.cli.session import Session, command, pairs

KINDS = click.Choice(["model", "adapter", "embedding", "preprocessing", "prompt"])
TIERS = click.Choice(["low", "medium", "high"])


@click.group()
def models() -> None:
    """List, show, create and edit models."""


@command(
    "list",
    group=models,
    examples="regista models list\nregista models list --kind embedding --json | jq -r '.[].model'",
)
@click.option("--search", help="Part of the name.")
@click.option("--kind", type=KINDS)
@click.option("--tier", type=TIERS)
@click.option("--owner")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def list_(session: Session, limit: int, **filters: Any) -> None:
    """The models you may see."""
    with session.client() as client:
        found = client.models(limit, **filters)
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
    session.items(found, columns, "no models: publish one with `regista publish`", limit)


def _newest(item: Any) -> str:
    number = item.get("newest")
    return "" if number is None else f"{number}: {item.get('newest_semver') or 'draft'}"


@command(group=models, examples="regista models show churn")
@click.argument("model")
def show(session: Session, model: str) -> None:
    """One model, by name or id."""
    with session.client() as client:
        session.one(client.model(model))


@command(
    group=models,
    examples="regista models create fraud.cards --owner team:risk --tier high --tag domain=payments",
)
@click.argument("name")
@click.option("--kind", type=KINDS, default="model", show_default=True)
@click.option("--description")
@click.option("--owner", help="A subject, for example team:risk.")
@click.option("--tier", type=TIERS, help="Risk tier: decides which policies apply.")
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE")
def create(session: Session, name: str, tags: tuple[str, ...], **facts: Any) -> None:
    """A model without versions (publishing makes one, too)."""
    with session.client() as client:
        made = client.create_model(name, **facts, tags=pairs(tags, "tag") or None)
    session.one(made, f"created {name}")


@command(
    group=models,
    examples="regista models edit churn --owner team:retention\nregista models edit churn --rename crm.churn",
)
@click.argument("model")
@click.option("--rename", "name", metavar="NAME", help="The new name; the id stays.")
@click.option("--description")
@click.option("--owner")
@click.option("--tier", type=TIERS)
@click.option("--tag", "tags", multiple=True, metavar="NAME=VALUE", help="All tags: those not given go.")
def edit(session: Session, model: str, tags: tuple[str, ...], **changes: Any) -> None:
    """Changes what is known of a model."""
    given = {**changes, "tags": pairs(tags, "tag") or None}
    if not any(given.values()):
        raise click.UsageError("say what to change: --rename, --description, --owner, --tier or --tag")
    with session.client() as client:
        session.one(client.edit_model(model, **given), f"changed {model}")


@click.group()
def alias() -> None:
    """List, set and remove aliases: movable names on versions."""


@command("list", group=alias, examples="regista alias list churn")
@click.argument("model")
def aliases(session: Session, model: str) -> None:
    """The aliases of a model."""
    with session.client() as client:
        session.items(
            client.aliases(model),
            [("alias", "alias"), ("number", "number"), ("version", "semver"), ("protected", "protected")],
            f"{model} has no aliases",
        )


@command("set", group=alias, examples="regista alias set churn candidate 4")
@click.argument("model")
@click.argument("name")
@click.argument("number", type=int)
@click.option(
    "--protect/--unprotect",
    "protected",
    default=None,
    help="From now on only admins move or remove it, or everybody who may.",
)
def set_(session: Session, model: str, name: str, number: int, protected: bool | None) -> None:
    """Points an alias at a version."""
    with session.client() as client:
        session.one(
            client.set_alias(model, name, number, protected=protected),
            f"{model}@{name} is version {number} now",
        )


@command(group=alias, examples="regista alias remove churn candidate")
@click.argument("model")
@click.argument("name")
def remove(session: Session, model: str, name: str) -> None:
    """Removes an alias."""
    with session.client() as client:
        client.remove_alias(model, name)
    session.one({"model": model, "alias": name, "removed": True}, f"removed {model}@{name}")
