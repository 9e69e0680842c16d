"""`regista reject`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.reviews import revision_to_decide, whole_id
from regista.cli.terminal.options import REASON, REVISION
from regista.cli.terminal.session import Session, command


@command(
    examples='regista reject 0198… --revision 4 --reason "no evidence for subgroup B"\n'
    'regista reject churn@4 --reason "trained on the wrong month"'
)
@click.argument("what", metavar="REVIEW|MODEL@VERSION")
@REASON
@REVISION
def reject(session: Session, what: str, reason: str, revision: int | None) -> None:
    """Reject a review as you saw it, or a version permanently."""
    with session.client() as client:
        if "@" in what:
            got: Mapping[str, Any] = client.reject_version(what, reason)
        else:
            what = whole_id(client, what)
            seen = revision_to_decide(session, client, what, revision, "reject")
            got = client.reject(what, reason, revision=seen)
    session.one(got, f"rejected {what}")
