"""`regista recall`."""

from __future__ import annotations

import click

from regista.cli.terminal.options import REASON
from regista.cli.terminal.session import Session, command


@command(examples='regista recall churn@3 --reason "data set bank-0312 is poisoned"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def recall(session: Session, reference: str, reason: str) -> None:
    """Forbid loading a version.

    Its traffic stays as it is: the output names the command that rolls back where the version serves.
    """
    with session.client() as client:
        got = client.recall(reference, reason)
    serves = [
        f"it still serves in {r['environment']} ({r['role']}, {r['percent']:g} %): "
        f"regista rollback {got['model']} --environment {r['environment']} --reason …"
        for r in got.get("rollouts") or ()
    ]
    session.one(got, "\n".join([f"recalled {reference}", *serves]))
