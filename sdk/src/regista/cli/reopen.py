"""`regista reopen`."""

from __future__ import annotations

import click

from regista.cli.terminal.options import REASON
from regista.cli.terminal.session import Session, command


@command(examples='regista reopen churn@2 --reason "try it as a challenger again"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def reopen(session: Session, reference: str, reason: str) -> None:
    """Let an archived version be used again.

    Its gates are assessed again; when they pass it is Validated.
    """
    with session.client() as client:
        got = client.reopen(reference, reason)
    session.one(got, f"reopened {reference}: it is {got.get('stage')}")
