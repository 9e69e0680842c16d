"""`regista reviews …`; `approve` and `reject` decide on what it shows."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal

if TYPE_CHECKING:
    from regista.client.sync_client import Client

STATES = ("open", "approved", "rejected", "lapsed", "expired", "overridden", "closed")


@click.group(invoke_without_command=True)
@click.option("--json", "json_", is_flag=True, help="For programs: JSON on stdout.")
@click.option("-o", "--output", hidden=True)
@click.pass_context
def reviews(ctx: click.Context, json_: bool, output: str | None) -> None:
    """Show pending reviews (`regista reviews`), or one with its evidence (`regista reviews show ID`)."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, json_=json_, output=output, state="open", model=None)


@command("list", group=reviews, examples="regista reviews list --state all --model churn")
@click.option("--state", type=click.Choice([*STATES, "all"]), default="open", show_default=True)
@click.option("--model")
def list_(session: Session, state: str, model: str | None) -> None:
    """List reviews by state."""
    with session.client() as client:
        found = client.reviews(None if state == "all" else state, model)
        shown = naming(session, client, (one for review in found for one in review.get("approvers") or ()))
    columns = [
        ("review", "review_id"),
        ("model", "model"),
        ("number", "number"),
        ("version", "semver"),
        ("for", "environment"),
        ("state", "state"),
        ("needs", "needs"),
        ("approved by", lambda r: ", ".join(map(shown, r.get("approvers") or ()))),
        ("expires", lambda r: to_the_second(r.get("expires_at"))),
    ]
    session.items(found, columns, "no reviews")


@command(group=reviews, examples="regista reviews show 0198…")
@click.argument("review_id", metavar="REVIEW")
def show(session: Session, review_id: str) -> None:
    """Show one review: the request, its evidence, and the comments of people."""
    with session.client() as client:
        found = client.review(review_id)
        if session.json:
            session.out(found)
            return
        show_review(session, client, found)
    if found.get("state") == "open" and session.for_people:
        say(f"To decide on what is shown: regista approve {review_id} --revision {found['revision']}")


def show_review(session: Session, client: Client, found: dict[str, Any]) -> None:
    """Print a review for people, with names beside the subjects."""
    entries = found.get("entries", [])
    people = {name: found.get(name) or [] for name in ("excluded", "approvers")}
    subjects = [*people["excluded"], *people["approvers"], *(e.get("by") for e in entries)]
    shown = naming(session, client, subjects)
    named = {name: [shown(one) for one in subjects] for name, subjects in people.items()}
    session.heading(
        {name: value for name, value in (found | named).items() if name not in {"results", "entries", "seal"}}
    )
    gates = [("gate", "gate"), ("passed", "passed"), ("detail", "detail")]
    session.items(found.get("results", []), gates, "no gate was evaluated")
    columns = [
        ("when", lambda e: to_the_second(e.get("at"))),
        ("who", lambda e: e.get("name") or shown(e.get("by"))),
        ("did", "kind"),
        ("comment", "text"),
    ]
    if session.for_people:
        session.items(entries, columns, "no comments or decisions yet")


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
    "look-back",
    group=reviews,
    examples='regista reviews look-back 0198… --justified --comment "the outage was real"',
)
@click.argument("review_id", metavar="REVIEW")
@click.option("--justified/--unjustified", required=True)
@click.option("--comment", default="")
def look_back(session: Session, review_id: str, justified: bool, comment: str) -> None:
    """Close the after-review of a break-glass override."""
    with session.client() as client:
        got = client.look_back(review_id, justified=justified, comment=comment)
    session.one(got, f"closed the after-review {review_id}")
