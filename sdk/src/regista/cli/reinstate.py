"""`regista reinstate`."""

from __future__ import annotations

import click

from regista.cli.terminal.options import REASON
from regista.cli.terminal.session import Session, command


@command(examples='regista reinstate churn@3 --reason "the wrong data set was named"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def reinstate(session: Session, reference: str, reason: str) -> None:
    """Undo a recall that was a mistake.

    Only a person who did not recall the version may.
    """
    with session.client() as client:
        got = client.reinstate(reference, reason)
    session.one(got, f"reinstated {reference}: it is {got.get('stage')}")
