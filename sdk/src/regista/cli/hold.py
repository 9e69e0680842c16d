"""`regista hold`."""

from __future__ import annotations

import click

from regista.cli.terminal.options import REASON
from regista.cli.terminal.session import Session, command


@command(
    examples='regista hold churn@3 --reason "case 4711"\n'
    'regista hold churn@3 --release --reason "case closed"'
)
@click.argument("reference", metavar="MODEL@VERSION")
@click.option("--release", is_flag=True, help="Release it instead.")
@REASON
def hold(session: Session, reference: str, release: bool, reason: str) -> None:
    """Place a legal hold: cleanup does not retire the version."""
    with session.client() as client:
        got = client.release_hold(reference, reason) if release else client.hold(reference, reason)
    session.one(got, f"{'released the hold on' if release else 'placed a hold on'} {reference}")
