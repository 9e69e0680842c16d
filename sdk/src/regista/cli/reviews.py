"""`regista reviews …`; `approve` and `reject` decide on what it shows."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from regista.cli.review_screen import show_review
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal

if TYPE_CHECKING:
    from regista.client.sync_client import Client

_BEGINNING = re.compile(r"[0-9a-f-]{3,35}")
"""What may be the beginning of a review's id; a whole one has 36 characters."""
STATES = ("pending", "open", "approved", "rejected", "lapsed", "expired", "overridden", "closed")


@click.group(invoke_without_command=True)
@click.option("--json", "json_", is_flag=True, help="For programs: JSON on stdout.")
@click.option("-o", "--output", hidden=True)
@click.option("--mine", is_flag=True, help="Only those that you may decide.")
@click.pass_context
def reviews(ctx: click.Context, json_: bool, output: str | None, *, mine: bool) -> None:
    """Show what waits for people (`regista reviews`), or one review (`regista reviews show ID`).

    Commands accept the beginning of a review's id where no other review begins so.
    """
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, json_=json_, output=output, state="pending", model=None, mine=mine)


@command("list", group=reviews, examples="regista reviews list --state all --model churn")
@click.option("--state", type=click.Choice([*STATES, "all"]), default="pending", show_default=True)
@click.option("--model")
@click.option("--mine", is_flag=True, help="Only those that you may decide.")
def list_(session: Session, state: str, model: str | None, *, mine: bool) -> None:
    """List reviews by state. `pending`: open ones, and overrides whose after-review is missing."""
    with session.client() as client:
        found = client.reviews(None if state == "all" else state, model, mine=mine)
        if model and not found:
            client.model(model)  # raises NotFound for a mistyped name
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
        ("you", _you),
    ]
    session.items(found, columns, "no review waits for you" if mine else "no reviews")


def _you(review: Mapping[str, Any]) -> str:
    """Return whether the caller may decide, or why not."""
    return "may decide" if review.get("may_decide") else str(review.get("why_not") or "")


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
        review_id = whole_id(client, review_id)
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


def whole_id(client: Client, given: str) -> str:
    """Return the id of the one review whose id begins so; what no review begins with is returned as it is.

    Pending reviews come before others. Raises click.UsageError when several begin so.
    """
    if not _BEGINNING.fullmatch(given):
        return given
    for state in ("pending", None):
        found = sorted(str(one["review_id"]) for one in client.reviews(state, limit=6, id_prefix=given))
        if len(found) == 1 or given in found:
            return given if given in found else found[0]
        if found:
            listed = ", ".join(found[:5])
            raise click.UsageError(f"several reviews begin with {given}: {listed}. Write more of the id")
    return given


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
        review_id = whole_id(client, review_id)
        session.one(client.comment(review_id, text), f"commented on {review_id}")


@command(
    "after-review",
    group=reviews,
    examples='regista reviews after-review 0198… --justified --comment "the outage was real"',
)
@click.argument("review_id", metavar="REVIEW")
@click.option("--justified/--unjustified", default=None, help="Whether the override was necessary; name one.")
@click.option("--comment", default="")
def after_review(session: Session, review_id: str, justified: bool | None, comment: str) -> None:
    """Close the after-review of a break-glass override.

    After --unjustified the version gets no further traffic; the policy may also roll it back.
    """
    if justified is None:
        raise click.UsageError("name the verdict: --justified or --unjustified")
    with session.client() as client:
        review_id = whole_id(client, review_id)
        got = client.review_override(review_id, justified=justified, comment=comment)
    session.one(got, f"closed the after-review {review_id}: {'justified' if justified else 'unjustified'}")
