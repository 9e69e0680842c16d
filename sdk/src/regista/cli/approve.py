"""`regista approve`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.reviews import revision_to_decide, whole_id
from regista.cli.terminal.options import REVISION
from regista.cli.terminal.session import Session, command


@command(
    examples="regista approve 0198…\n"
    'regista approve 0198… --revision 4 --comment "checked on March data" --condition "shadow for a week"\n'
    "regista approve 0198… --revision 4 --accept schema_compatible"
)
@click.argument("review_id", metavar="REVIEW")
@click.option("--comment", default="")
@click.option(
    "--condition",
    "conditions",
    multiple=True,
    help="A condition of the approval; may be given more than once.",
)
@click.option(
    "--accept",
    "accepts",
    multiple=True,
    metavar="GATE",
    help="Accept what a gate leaves open, by its name; the review lists them.",
)
@REVISION
def approve(
    session: Session,
    review_id: str,
    comment: str,
    conditions: tuple[str, ...],
    accepts: tuple[str, ...],
    revision: int | None,
) -> None:
    """Approve a review as you saw it."""
    with session.client() as client:
        review_id = whole_id(client, review_id)
        seen = revision_to_decide(session, client, review_id, revision, "approve")
        got = client.approve(review_id, comment, conditions, revision=seen, accepts=accepts)
    session.one(got, f"approved {review_id}{_how_far(got)}")


def _how_far(review: Mapping[str, Any]) -> str:
    """Return what is still missing. An approval that was made before is answered with the review as it is."""
    if review.get("state") == "approved":
        return ": it was the last approval; the promotion is granted"
    return f": {len(review.get('approvers') or ())} of {review.get('needs')} approvals"
