"""`regista recall`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.options import REASON
from regista.cli.terminal.session import Session, command

if TYPE_CHECKING:
    from regista.client.sync_client import Client


@command(examples='regista recall churn@3 --reason "data set bank-0312 is poisoned"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def recall(session: Session, reference: str, reason: str) -> None:
    """Forbid loading a version.

    Its traffic stays as it is: the output names the command that takes the version out of service.
    """
    with session.client() as client:
        got = client.recall(reference, reason)
        serves = [_way_out(client, got, rollout) for rollout in got.get("rollouts") or ()]
    session.one(got, "\n".join([f"recalled {reference}", *serves]))


def _way_out(client: Client, version: dict[str, Any], rollout: dict[str, Any]) -> str:
    """Return the command that works: a rollback where it has a target, else the stop of the rollout."""
    from regista.errors import RegistaError, RuleBroken  # noqa: PLC0415 - the help needs no errors

    model, environment = version["model"], rollout["environment"]
    serves = f"it still serves in {environment} ({rollout['role']}, {rollout['percent']:g} %): "
    way = f"regista rollback {model} --environment {environment}"
    try:
        client.rollback(model, "what would a rollback do", environment, dry_run=True)
    except RuleBroken as refused:
        targets = refused.facts.get("targets") or ()
        way = f"{way} --to {targets[0]}" if targets else f"regista rollout stop {model} -e {environment}"
    except RegistaError:
        pass  # for example without the right to roll back: another person can
    return f"{serves}{way} --reason …"
