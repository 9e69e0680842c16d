"""`regista promote`, `reviews`, `approve`, `reject`, `recall`, `policy`."""

from __future__ import annotations

import contextlib
import json
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from regista.cli.people import naming
from regista.cli.session import Session, command, to_the_second

if TYPE_CHECKING:
    from regista.client.sync_client import Client

ENVIRONMENT = click.option("--environment", "-e", default="production", show_default=True)
STATES = ("open", "approved", "rejected", "lapsed", "expired", "overridden", "closed")


def _said(_context: click.Context, _parameter: click.Parameter, value: str) -> str:
    if not value.strip():
        raise click.BadParameter("say why: it stands in the audit trail")
    return value


REVISION = click.option(
    "--revision",
    type=click.IntRange(1),
    help="The review's revision that you read: `regista reviews show` prints it. On a terminal it is shown first.",
)
REASON = click.option("--reason", required=True, callback=_said, help="Stands in the audit trail.")


@command(
    examples='regista promote churn@3 --reason "better on the March data"\nregista promote churn@3 --wait --timeout 3600'
)
@click.argument("reference", metavar="MODEL@VERSION")
@ENVIRONMENT
@click.option("--reason", default="", help="Stands in the audit trail.")
@click.option("--wait", is_flag=True, help="Wait until it is granted (exit code 0) or denied (3).")
@click.option("--timeout", type=float, default=60.0, show_default=True, help="Seconds to wait.")
def promote(
    session: Session, reference: str, environment: str, reason: str, wait: bool, timeout: float
) -> None:
    """Asks for a validated version's promotion. Reviews may follow: `regista reviews`."""
    with session.client() as client:
        got = client.promote(reference, environment, reason)
        if wait:
            with session.waiting(f"waiting for the decision about {reference}"):
                got = decided(client, got["promotion_id"], timeout)
    session.one(
        got,
        f"promotion {got['promotion_id']} of {reference} to {environment} {'was granted' if wait else 'was requested'}",
    )


def decided(client: Client, promotion_id: str, seconds: float) -> dict[str, Any]:
    """The promotion once it is granted. Raises RuleBroken with the reasons when it is not, and TimedOut."""
    from regista.errors import NotFound, RuleBroken, TimedOut  # noqa: PLC0415

    deadline, found = time.monotonic() + seconds, {"state": "open"}
    while time.monotonic() < deadline:
        with contextlib.suppress(NotFound):
            found = client.promotion(promotion_id)
        if found["state"] == "granted":
            return found
        if found["state"] != "open":
            raise RuleBroken(f"promotion_{found['state']}", "; ".join(found.get("reasons", ())), facts=found)
        time.sleep(0.3)
    raise TimedOut(
        "not_decided_yet",
        f"promotion {promotion_id} is not decided after {seconds:.0f} s",
        advice="Look at `regista reviews`.",
    )


@click.group(invoke_without_command=True)
@click.option("--json", "json_", is_flag=True, help="For programs: JSON on stdout.")
@click.pass_context
def reviews(ctx: click.Context, json_: bool) -> None:
    """Pending reviews (`regista reviews`), or one with its evidence (`regista reviews show ID`)."""
    if ctx.invoked_subcommand is None:
        ctx.invoke(list_, json_=json_, state="open", model=None)


@command("list", group=reviews, examples="regista reviews list --state all --model churn")
@click.option("--state", type=click.Choice([*STATES, "all"]), default="open", show_default=True)
@click.option("--model")
def list_(session: Session, state: str, model: str | None) -> None:
    """Reviews by state."""
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
    """One review: what is asked for, on which evidence, who said what."""
    with session.client() as client:
        found = client.review(review_id)
        if session.json:
            session.out(found)
            return
        _show(session, client, found)
    if found.get("state") == "open":
        click.echo(f"To decide on what is shown: regista approve {review_id} --revision {found['revision']}")


def _show(session: Session, client: Client, found: dict[str, Any]) -> None:
    people, entries = (
        {name: found.get(name) or [] for name in ("excluded", "approvers")},
        found.get("entries", []),
    )
    shown = naming(
        session, client, [*people["excluded"], *people["approvers"], *(e.get("by") for e in entries)]
    )
    named = {name: [shown(one) for one in those] for name, those in people.items()}
    session.one(
        {name: value for name, value in (found | named).items() if name not in {"results", "entries", "seal"}}
    )
    session.items(
        found.get("results", []),
        [("gate", "gate"), ("passed", "passed"), ("detail", "detail")],
        "no gate was asked",
    )
    columns = [
        ("when", lambda e: to_the_second(e.get("at"))),
        ("who", lambda e: e.get("name") or shown(e.get("by"))),
        ("did", "kind"),
        ("said", "text"),
    ]
    session.items(entries, columns, "nobody said anything yet")


@command("comment", group=reviews, examples='regista reviews comment 0198… "how does it do on subgroup B?"')
@click.argument("review_id", metavar="REVIEW")
@click.argument("text")
def say(session: Session, review_id: str, text: str) -> None:
    """Says something without deciding."""
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
    """The after-review of a break-glass grant."""
    with session.client() as client:
        session.one(
            client.look_back(review_id, justified=justified, comment=comment), f"looked back at {review_id}"
        )


@command(examples='regista override 0198… --reason "champion is down, approvers are asleep: incident 4711"')
@click.argument("promotion_id", metavar="PROMOTION")
@REASON
def override(session: Session, promotion_id: str, reason: str) -> None:
    """Breaks the glass: grants a promotion past its gates. Needs its own role and opens an after-review."""
    with session.client() as client:
        session.one(
            client.override(promotion_id, reason), f"overrode {promotion_id}; an after-review is open"
        )


@command(
    examples='regista approve 0198…\nregista approve 0198… --revision 4 --comment "checked on the March data" --condition "shadow for a week"'
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
    """Approves exactly what you saw of the review."""
    with session.client() as client:
        seen = _seen(session, client, review_id, revision, "approve")
        session.one(client.approve(review_id, comment, conditions, revision=seen), f"approved {review_id}")


def on_a_terminal() -> bool:
    """Somebody is there to look and to answer."""
    return sys.stdin.isatty()


def _seen(session: Session, client: Client, review_id: str, revision: int | None, what: str) -> int:
    """The revision that the decision is about: the one named, or the one shown and confirmed now."""
    if revision is not None:
        return revision
    if session.json or not on_a_terminal():
        raise click.UsageError(
            f"say which revision you read: `regista reviews show {review_id}` prints it, --revision N names it"
        )
    found = client.review(review_id)
    _show(session, client, found)
    click.confirm(f"{what} this?", abort=True)
    return int(found["revision"])


@command(
    examples='regista reject 0198… --revision 4 --reason "no evidence for subgroup B"\nregista reject churn@4 --reason "trained on the wrong month"'
)
@click.argument("what", metavar="REVIEW|MODEL@VERSION")
@REASON
@REVISION
def reject(session: Session, what: str, reason: str, revision: int | None) -> None:
    """Rejects a review, or ends a version's way altogether."""
    with session.client() as client:
        if "@" in what:
            got = client.reject_version(what, reason)
        else:
            got = client.reject(what, reason, revision=_seen(session, client, what, revision, "reject"))
    session.one(got, f"rejected {what}")


@command(examples='regista recall churn@3 --reason "data set bank-0312 is poisoned"')
@click.argument("reference", metavar="MODEL@VERSION")
@REASON
def recall(session: Session, reference: str, reason: str) -> None:
    """Forbids loading a version.

    Traffic stays where it is: roll back where the version serves, as this says.
    """
    with session.client() as client:
        got = client.recall(reference, reason)
    serves = [
        f"it still serves in {r['environment']} ({r['role']}, {r['percent']:g} %): regista rollback {got['model']} --environment {r['environment']} --reason …"
        for r in got.get("rollouts") or ()
    ]
    session.one(got, "\n".join([f"recalled {reference}", *serves]))


@click.group()
def policy() -> None:
    """List, show and publish gate policies."""


@command("list", group=policy, examples="regista policy list")
def policies(session: Session) -> None:
    """The policies in force."""
    with session.client() as client:
        found = client.policies()
        shown = naming(session, client, (policy.get("published_by") for policy in found))
    columns = [
        ("name", "name"),
        ("revision", "revision"),
        ("active", "active"),
        ("published by", lambda p: shown(p.get("published_by"))),
        ("digest", "digest"),
    ]
    session.items(found, columns, "no policies")


@command("show", group=policy, examples="regista policy show production-high --json > policy.json")
@click.argument("name")
def show_policy(session: Session, name: str) -> None:
    """One policy with its gates."""
    with session.client() as client:
        session.one(client.policy(name))


@command("publish", group=policy, examples="regista policy publish production-high policy.yaml")
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
def publish_policy(session: Session, name: str, file: Path) -> None:
    """Publishes a new revision of a policy (JSON, or YAML where PyYAML is installed)."""
    content = read_policy(file)
    with session.client() as client:
        session.one(client.publish_policy(name, content), f"published policy {name}")


def read_policy(file: Path) -> dict[str, Any]:
    """A policy file. Raises click.UsageError."""
    try:
        raw = file.read_text("utf-8")
    except UnicodeDecodeError as e:
        raise click.UsageError(f"{file} is no text in UTF-8: {e}") from None
    if file.suffix in {".yaml", ".yml"}:
        try:
            import yaml  # noqa: PLC0415 - no dependency of the client
        except ImportError:
            raise click.UsageError("YAML needs `pip install pyyaml`; JSON works without") from None
        try:
            content = yaml.safe_load(raw)
        except yaml.YAMLError as e:
            raise click.UsageError(f"{file} is no YAML: {e}") from None
    else:
        try:
            content = json.loads(raw)
        except ValueError as e:
            raise click.UsageError(f"{file} is no JSON: {e}") from None
    if not isinstance(content, dict):
        raise click.UsageError(f"{file} holds no policy: expected an object")
    return content
