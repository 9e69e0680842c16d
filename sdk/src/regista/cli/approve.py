"""`regista approve`."""

from __future__ import annotations

import click

from regista.cli.reviews import revision_to_decide
from regista.cli.terminal.options import REVISION
from regista.cli.terminal.session import Session, command


@command(
    examples="regista approve 0198…\n"
    'regista approve 0198… --revision 4 --comment "checked on the March data" --condition "shadow for a week"'
)
@click.argument("review_id", metavar="REVIEW")
@click.option("--comment", default="")
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    help="A condition of the approval; may be given more than once.",
)
@REVISION
def approve(
    session: Session, review_id: str, comment: str, conditions: tuple[str, ...], revision: int | None
) -> None:
    """Approve a review as you saw it."""
    with session.client() as client:
        seen = revision_to_decide(session, client, review_id, revision, "approve")
        session.one(client.approve(review_id, comment, conditions, revision=seen), f"approved {review_id}")
