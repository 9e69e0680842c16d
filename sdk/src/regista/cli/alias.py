"""`regista alias …`."""

from __future__ import annotations

import click

from regista.cli.terminal.session import Session, command


@click.group()
def alias() -> None:
    """List, set and remove aliases: movable names on versions."""


@command("list", group=alias, examples="regista alias list churn")
@click.argument("model")
def aliases(session: Session, model: str) -> None:
    """List the aliases of a model."""
    with session.client() as client:
        session.items(
            client.aliases(model),
            [("alias", "alias"), ("number", "number"), ("version", "semver"), ("protected", "protected")],
            f"{model} has no aliases",
        )


@command(
    "set",
    group=alias,
    examples="regista alias set churn candidate 4\nregista alias set churn@1.2.0 candidate",
)
@click.argument("model", metavar="MODEL[@VERSION]")
@click.argument("name")
@click.argument("number", type=int, required=False)
@click.option(
    "--protect/--unprotect",
    "protected",
    default=None,
    help="Only admins move or remove a protected alias.",
)
def set_(session: Session, model: str, name: str, number: int | None, protected: bool | None) -> None:
    """Point an alias at a version: its number, or what follows the @."""
    named, _, version = model.partition("@")
    if bool(version) == (number is not None):
        raise click.UsageError(
            f"name the version once: `regista alias set {named} {name} 4`, "
            f"or `regista alias set {named}@1.2.0 {name}`"
        )
    with session.client() as client:
        wanted = client.version(model)["number"] if number is None else number
        session.one(
            client.set_alias(named, name, wanted, protected=protected),
            f"{named}@{name} is version {wanted} now",
        )


@command(group=alias, examples="regista alias remove churn candidate")
@click.argument("model")
@click.argument("name")
def remove(session: Session, model: str, name: str) -> None:
    """Remove an alias."""
    with session.client() as client:
        client.remove_alias(model, name)
    session.one({"model": model, "alias": name, "removed": True}, f"removed {model}@{name}")
