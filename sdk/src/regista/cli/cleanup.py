"""`regista cleanup …`."""

from __future__ import annotations

from typing import Any, BinaryIO

import click

from regista.cli.terminal.options import IF_REVISION
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.values import read_json

VERDICTS = ("marked", "spared", "proposed", "retired", "refused")
COLUMNS = [
    ("model", "model"),
    ("number", "number"),
    ("version", "semver"),
    ("verdict", "verdict"),
    ("why", lambda v: "; ".join(str(r.get("detail", r)) for r in v.get("reasons") or ())),
    ("goes after", lambda v: to_the_second(v.get("delete_after"))),
]


@click.group()
def cleanup() -> None:
    """Plan, run and explain cleanups; show and set the retention of a model."""


@command(group=cleanup, examples="regista cleanup plan\nregista cleanup plan churn --policy shorter.json")
@click.argument("model", default="")
@click.option("--policy", type=click.File("rb"), help="JSON: simulate another retention policy.")
def plan(session: Session, model: str, policy: BinaryIO | None) -> None:
    """Show what a cleanup would do now, and why; no version is marked.

    All models need a role everywhere; name one model otherwise.
    """
    given = read_json(policy.read(), "--policy") if policy else None
    with session.client() as client:
        _show_sweep(session, client.sweep(model, dry_run=True, policy=given))


@command(group=cleanup, examples="regista cleanup run\nregista cleanup run churn")
@click.argument("model", default="")
def run(session: Session, model: str) -> None:
    """Mark the versions that may be retired, of one model or of all.

    They are retired after the grace period, if the registry agrees.
    """
    with session.client() as client:
        got = client.sweep(model, dry_run=False)
    session.one(
        got,
        f"sweep {got['sweep_id']} was planned: `regista cleanup show {got['sweep_id']}` shows its verdicts",
    )


@command("list", group=cleanup, examples="regista cleanup list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def list_(session: Session, limit: int) -> None:
    """List past cleanups, newest first."""
    with session.client() as client:
        found = client.sweeps(limit)
        shown = naming(session, client, (sweep.get("actor") for sweep in found))
    columns = [
        ("sweep", "sweep_id"),
        ("when", lambda s: to_the_second(s.get("at"))),
        ("trigger", "trigger"),
        ("phase", "phase"),
        ("models", "models"),
        ("versions", "versions"),
        ("by", lambda s: shown(s.get("actor"))),
    ]
    session.items(found, columns, "no cleanup ran yet", limit)


@command(group=cleanup, examples="regista cleanup show 0198…\nregista cleanup show 0198… --verdict marked")
@click.argument("sweep_id", metavar="SWEEP")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only versions with this verdict.")
def show(session: Session, sweep_id: str, verdict: str | None) -> None:
    """Show one cleanup: each version kept or marked, and why."""
    with session.client() as client:
        found = client.sweep_plan(sweep_id, verdict or "")
        while token := found.get("next_page_token"):
            more = client.sweep_plan(sweep_id, verdict or "", token)
            found |= {"items": found["items"] + more["items"], "next_page_token": more.get("next_page_token")}
    _show_sweep(session, found)


@command(
    group=cleanup,
    examples="regista cleanup retention churn\n"
    "regista cleanup retention churn --set retention.json --if-revision 3",
)
@click.argument("model")
@click.option(
    "--set",
    "file",
    type=click.File("rb"),
    help="JSON with the new policy: unused_seconds, keep_newest, grace_seconds, …",
)
@IF_REVISION
def retention(session: Session, model: str, file: BinaryIO | None, expected: int | None) -> None:
    """Show how long the versions of a model are kept, and the standing of each; or set it with --set."""
    if expected is not None and not file:
        raise click.UsageError("--if-revision belongs to a change: add --set FILE")
    with session.client() as client:
        if file:
            policy = read_json(file.read(), "--set")
            session.one(client.set_retention(model, policy, expected=expected))
            return
        found = client.retention(model)
    if session.json:
        session.out(found)
        return
    policy = {name: "permanently" if value is None else value for name, value in found["policy"].items()}
    session.heading({"revision": found.get("revision")} | policy)
    columns = [
        ("number", "number"),
        ("version", "semver"),
        ("stage", "stage"),
        ("uses", "uses"),
        ("last used", "last_used_at"),
        *COLUMNS[3:],
    ]
    session.items(found["versions"], columns, f"{model} has no versions")


@command(group=cleanup, examples="regista cleanup usage churn")
@click.argument("model")
def usage(session: Session, model: str) -> None:
    """Show how often the versions of a model were used, as far as clients reported it."""
    with session.client() as client:
        found = client.usage(model)
    if session.json:
        session.out(found)
        return
    columns = [
        ("number", "number"),
        ("uses", "total"),
        ("last used", lambda v: to_the_second(v.get("last_used_at"))),
    ]
    session.items(found["versions"], columns, f"no client reported a use of {model}")


def _show_sweep(session: Session, found: dict[str, Any]) -> None:
    if session.json:
        session.out(found)
        return
    counts = (
        ", ".join(f"{number} {verdict}" for verdict, number in sorted(found.get("verdicts", {}).items()))
        or "no verdicts yet"
    )
    if session.for_people:
        say(f"{found.get('versions', 0)} versions of {found.get('models', 0)} models: {counts}")
    session.items(found.get("items", []), COLUMNS, "no version to show")
    if found.get("truncated"):
        say("Not all versions are shown; name a model to see all of its versions.", err=True)
