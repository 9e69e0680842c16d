"""`regista override`."""

from __future__ import annotations

import click

from regista.cli.reviews import whole_id
from regista.cli.terminal.options import REASON
from regista.cli.terminal.session import Session, command


@command(examples='regista override 0198… --reason "champion is down, approvers are asleep: incident 4711"')
@click.argument("promotion_id", metavar="PROMOTION")
@REASON
def override(session: Session, promotion_id: str, reason: str) -> None:
    """Grant a promotion past its gates (break-glass override).

    Needs the role override, and opens a mandatory after-review.
    """
    with session.client() as client:
        promotion_id = whole_id(client, promotion_id)
        got = client.override(promotion_id, reason)
    session.one(got, f"overrode {promotion_id}; an after-review is open")
