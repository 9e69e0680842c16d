"""`regista reviews …`; `approve` and `reject` decide on what it shows."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from regista.cli.review_screen import show_review
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal

if TYPE_CHECKING:
    from regista.client.sync_client import Client

STATES = ("pending", "open", "approved", "rejected", "lapsed", "expired", "overridden", "closed")


@click.group(invoke_without_command=True)
@click.option("--json", "json_", is_flag=True, help="For programs: JSON on stdout.")
@click.option("-o", "--output", hidden=True)
@click.pass_context
def reviews(ctx: click.Context, json_: bool, output: str | None) -> None:
    """Show what waits for people (`regista reviews`), or one review (`regista reviews show ID`)."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, json_=json_, output=output, state="pending", model=None)


@command("list", group=reviews, examples="regista reviews list --state all --model churn")
@click.option("--state", type=click.Choice([*STATES, "all"]), default="pending", show_default=True)
@click.option("--model")
def list_(session: Session, state: str, model: str | None) -> None:
    """List reviews by state. `pending`: open ones, and overrides whose after-review is missing."""
    with session.client() as client:
        found = client.reviews(None if state == "all" else state, model)
        people = (one for r in found for one in (r.get("requester"), *(r.get("approvers") or ())))
        shown = naming(session, client, people)
    columns = [
        ("review", "review_id"),
        ("model", "model"),
        ("number", "number"),
        ("version", "semver"),
        ("for", "environment"),
        ("state", "state"),
        ("requested by", lambda r: shown(r.get("requester"))),
        ("needs", "needs"),
        ("approved by", lambda r: ", ".join(map(shown, r.get("approvers") or ()))),
        ("until", _until),
    ]
    session.items(found, columns, "no reviews")


def _until(review: Mapping[str, Any]) -> str:
    """Return when an open review expires, or its after-review is due."""
    if review.get("state") != "overridden":
        return to_the_second(review.get("expires_at"))
    late = "overdue since" if review.get("overdue_since") else "after-review due"
    return f"{late} {to_the_second(review.get('due_at'))}"


@command(group=reviews, examples="regista reviews show 0198…\nregista reviews show 0198… --full")
@click.argument("review_id", metavar="REVIEW")
@click.option("--full", is_flag=True, help="Show all evidence, too.")
def show(session: Session, review_id: str, *, full: bool) -> None:
    """Show one review: who requests it, why, what changed against the champion, and who may decide."""
    with session.client() as client:
        found = client.review(review_id)
        if session.format:
            session.one(found)
            return
        show_review(session, client, found, full=full)
    if found.get("state") == "open":
        accept = "".join(f" --accept {gate}" for gate in (found.get("summary") or {}).get("accept") or ())
        say(f"To decide on what is shown: regista approve {review_id} --revision {found['revision']}{accept}")
    if found.get("state") == "overridden":
        say(f"To review the override: regista reviews after-review {review_id} --justified or --unjustified")


def revision_to_decide(
    session: Session, client: Client, review_id: str, revision: int | None, what: str
) -> int:
    """Return the revision that the decision is about: `revision`, or the one shown and confirmed now.

    `what` is the decision. Raises click.UsageError where no person can confirm.
    """
    if revision is not None:
        return revision
    if session.format or not on_a_terminal():
        raise click.UsageError(
            f"name the revision that you read with --revision N: `regista reviews show {review_id}` prints it"
        )
    found = client.review(review_id)
    show_review(session, client, found)
    confirm(f"{what} this?")
    return int(found["revision"])


@command("comment", group=reviews, examples='regista reviews comment 0198… "how does it do on subgroup B?"')
@click.argument("review_id", metavar="REVIEW")
@click.argument("text")
def comment(session: Session, review_id: str, text: str) -> None:
    """Comment on a review without a decision."""
    with session.client() as client:
        session.one(client.comment(review_id, text), f"commented on {review_id}")


@command(
    "after-review",
    group=reviews,
    examples='regista reviews after-review 0198… --justified --comment "the outage was real"',
)
@click.argument("review_id", metavar="REVIEW")
@click.option("--justified/--unjustified", required=True)
@click.option("--comment", default="")
def after_review(session: Session, review_id: str, justified: bool, comment: str) -> None:
    """Close the after-review of a break-glass override.

    After --unjustified the version gets no further traffic; the policy may also roll it back.
    """
    with session.client() as client:
        got = client.review_override(review_id, justified=justified, comment=comment)
    session.one(got, f"closed the after-review {review_id}")
