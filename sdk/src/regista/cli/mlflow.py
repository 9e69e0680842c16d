"""`regista mlflow …`."""

from __future__ import annotations

import click

from regista.choices import MlflowMode
from regista.cli.terminal.session import Session, command


@click.group()
def mlflow() -> None:
    """Choose what clients of MLflow may do.

    In the mode `governed`, their stages and aliases are Regista's: `production` is what serves, and is only
    requested. In the mode `labels`, stages and aliases are free, only MLflow's clients see them, and no gate
    or rollout depends on them.
    """


@command(
    group=mlflow,
    examples="regista mlflow mode crm\n"
    'regista mlflow mode crm labels --reason "the team moves from MLflow until March"',
)
@click.argument("namespace")
@click.argument("mode", required=False, type=click.Choice(["governed", "labels"]))
@click.option("--reason", default="", help="Why; the audit trail stores it. Needed for a change.")
def mode(session: Session, namespace: str, mode: MlflowMode | None, reason: str) -> None:
    """Show the mode of a namespace, or choose it for it and those below it (`*`: where none was chosen).

    An admin of the namespace may.
    """
    if mode and not reason.strip():
        raise click.UsageError("say why: --reason")
    with session.client() as client:
        if mode is None:
            session.one(client.mlflow_mode(namespace))
        else:
            session.one(client.set_mlflow_mode(namespace, mode, reason), f"{namespace}: {mode}")
