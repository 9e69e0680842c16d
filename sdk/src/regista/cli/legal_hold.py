"""`regista legal-hold …`, and its former form `regista hold`."""

from __future__ import annotations

import click

from regista.cli.terminal.options import REASON
from regista.cli.terminal.session import Session, command


@click.group()
def legal_hold() -> None:
    """Protect a version from cleanup until its legal hold is released."""


@command(group=legal_hold, examples='regista legal-hold place churn@3 --reason "case 4711"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def place(session: Session, reference: str, reason: str) -> None:
    """Place a legal hold: cleanup does not retire the version."""
    with session.client() as client:
        got = client.place_legal_hold(reference, reason)
    session.one(got, f"placed a legal hold on {reference}")


@command(group=legal_hold, examples='regista legal-hold release churn@3 --reason "case closed"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def release(session: Session, reference: str, reason: str) -> None:
    """Release the legal hold on a version. Only an admin may."""
    with session.client() as client:
        got = client.release_legal_hold(reference, reason)
    session.one(got, f"released the legal hold on {reference}")


@command(examples='regista legal-hold place churn@3 --reason "case 4711"')
@click.argument("reference", metavar="MODEL@VERSION")
@click.option("--release", "releases", is_flag=True, help="Release it instead.")
@REASON
def hold(session: Session, reference: str, releases: bool, reason: str) -> None:
    """Place or release a legal hold."""
    with session.client() as client:
        act = client.release_legal_hold if releases else client.place_legal_hold
        session.one(
            act(reference, reason), f"{'released' if releases else 'placed'} a legal hold: {reference}"
        )
