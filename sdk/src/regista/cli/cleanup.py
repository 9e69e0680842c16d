"""`regista cleanup …`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli import retention
from regista.cli.retention import POLICY_OPTIONS, policy_of
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command

VERDICTS = ("marked", "spared", "proposed", "retired", "refused")
COLUMNS = [("model", "model"), ("number", "number"), ("version", "semver"), *retention.VERDICT_COLUMNS]


@click.group()
def cleanup() -> None:
    """Plan, run and explain cleanups; show and set how long versions are kept."""


retention.add_to(cleanup)


@command(group=cleanup, examples="regista cleanup plan\nregista cleanup plan churn")
@click.argument("model", default="")
def plan(session: Session, model: str) -> None:
    """Show what a cleanup would do now, and why; no version is marked.

    All models need a role everywhere; name one model otherwise.
    """
    with session.client() as client:
        show_run(session, client.clean_up(model, dry_run=True))


@command(
    group=cleanup,
    examples="regista cleanup simulate churn --unused 90d --keep-newest 5\n"
    "regista cleanup simulate --namespace fraud --unused 180d --draft 30d",
)
@click.argument("model", default="")
@click.option("--namespace", default="", metavar="NAME", help="Only models of this namespace.")
@POLICY_OPTIONS
def simulate(session: Session, model: str, namespace: str, **given: Any) -> None:
    """Show what a cleanup would do under another retention policy; nothing is changed.

    The policy is what is given here, not that of the model with changes. A duration that is left out keeps
    the versions that it is about; without --keep-newest the newest 3 stay.
    """
    if model and namespace:
        raise click.UsageError("name a model or --namespace")
    policy = policy_of(given, {})
    with session.client() as client:
        show_run(session, client.clean_up(model, dry_run=True, policy=policy, namespace=namespace))


@command(group=cleanup, examples="regista cleanup run\nregista cleanup run churn")
@click.argument("model", default="")
def run(session: Session, model: str) -> None:
    """Mark the versions that may be retired, of one model or of all.

    They are retired after the grace period, if the registry agrees.
    """
    with session.client() as client:
        got = client.clean_up(model, dry_run=False)
    run_id = got["cleanup_run_id"]
    session.one(got, f"cleanup run {run_id} was planned: `regista cleanup show {run_id}` shows its verdicts")


@command("list", group=cleanup, examples="regista cleanup list")
@click.option("--limit", type=click.IntRange(1), default=20, show_default=True)
def list_(session: Session, limit: int) -> None:
    """List past cleanups, newest first."""
    with session.client() as client:
        found = client.cleanup_runs(limit)
        shown = naming(session, client, (run.get("actor") for run in found))
    columns = [
        ("run", "cleanup_run_id"),
        ("when", lambda s: to_the_second(s.get("at"))),
        ("trigger", "trigger"),
        ("phase", "phase"),
        ("models", "models"),
        ("versions", "versions"),
        ("by", lambda s: shown(s.get("actor"))),
    ]
    session.items(found, columns, "no cleanup ran yet", limit)


@command(group=cleanup, examples="regista cleanup show 0198…\nregista cleanup show 0198… --verdict marked")
@click.argument("cleanup_run_id", metavar="RUN")
@click.option("--verdict", type=click.Choice(VERDICTS), help="Only versions with this verdict.")
def show(session: Session, cleanup_run_id: str, verdict: str | None) -> None:
    """Show one cleanup: each version kept or marked, and why."""
    with session.client() as client:
        found = client.cleanup_run(cleanup_run_id, verdict or "")
        while token := found.get("next_page_token"):
            more = client.cleanup_run(cleanup_run_id, verdict or "", token)
            found |= {"items": found["items"] + more["items"], "next_page_token": more.get("next_page_token")}
    show_run(session, found)


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
    versions = [{**version, "model": model} for version in found["versions"]]
    session.items(versions, columns, f"no client reported a use of {model}")


def show_run(session: Session, found: Mapping[str, Any]) -> None:
    if session.json:
        session.out(found)
        return
    counts = (
        ", ".join(f"{number} {verdict}" for verdict, number in sorted(found.get("verdicts", {}).items()))
        or "no verdicts yet"
    )
    if session.for_people:
        versions, models = found.get("versions", 0), found.get("models", 0)
        say(f"{_counted(versions, 'version')} of {_counted(models, 'model')}: {counts}")
    session.items(found.get("items", []), COLUMNS, "no version to show")
    if found.get("truncated"):
        say("Not all versions are shown; name a model to see all of its versions.", err=True)


def _counted(number: int, what: str) -> str:
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
