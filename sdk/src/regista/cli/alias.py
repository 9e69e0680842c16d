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


@command("set", group=alias, examples="regista alias set churn candidate 4")
@click.argument("model")
@click.argument("name")
@click.argument("number", type=int)
@click.option(
    "--protect/--unprotect",
    "protected",
    default=None,
    help="Only admins move or remove a protected alias.",
)
def set_(session: Session, model: str, name: str, number: int, protected: bool | None) -> None:
    """Point an alias at a version."""
    with session.client() as client:
        session.one(
            client.set_alias(model, name, number, protected=protected),
            f"{model}@{name} is version {number} now",
        )


@command(group=alias, examples="regista alias remove churn candidate")
@click.argument("model")
@click.argument("name")
def remove(session: Session, model: str, name: str) -> None:
    """Remove an alias."""
    with session.client() as client:
        client.remove_alias(model, name)
    session.one({"model": model, "alias": name, "removed": True}, f"removed {model}@{name}")
