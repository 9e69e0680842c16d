"""`regista policy …`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import click

from regista.cli.terminal.options import IF_REVISION, OPTIONAL_REASON
from regista.cli.terminal.output import say
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command, confirm, on_a_terminal
from regista.cli.terminal.values import read_policy


@click.group()
def policy() -> None:
    """List, show and publish gate policies."""


@command("list", group=policy, examples="regista policy list")
def policies(session: Session) -> None:
    """List the policies in force."""
    with session.client() as client:
        found = client.policies()
        shown = naming(session, client, (policy.get("published_by") for policy in found))
    columns = [
        ("name", "name"),
        ("revision", "revision"),
        ("active", "active"),
        ("published by", lambda p: shown(p.get("published_by"))),
        ("digest", "digest"),
        ("proposed", lambda p: (p.get("proposal") or {}).get("revision", "")),
    ]
    session.items(found, columns, "no policies")


@command(group=policy, examples="regista policy show production-high --json > policy.json")
@click.argument("name")
def show(session: Session, name: str) -> None:
    """Show one policy with its gates and its revision."""
    with session.client() as client:
        session.one(client.policy(name))


@command(
    group=policy,
    examples="regista policy publish production-high policy.yaml\n"
    "regista policy publish production-high policy.yaml --dry-run\n"
    "regista policy publish production-high policy.yaml --if-revision 3 --yes",
)
@click.argument("name")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@IF_REVISION
@click.option("--yes", "-y", is_flag=True, help="Publish without a question.")
@click.option("--dry-run", is_flag=True, help="Show what would change, and change nothing.")
@OPTIONAL_REASON
def publish(
    session: Session, name: str, file: Path, expected: int | None, *, yes: bool, dry_run: bool, reason: str
) -> None:
    """Publish a new revision of a policy (JSON, or YAML with PyYAML installed).

    It shows what changes: models, open reviews, the number of approvers. A revision that requires less than
    before waits for a second admin, where there is one: `regista policy confirm`.
    """
    content = read_policy(file)
    with session.client() as client:
        change = client.preview_policy(name, content)
        if dry_run and session.format:
            session.one(change)
            return
        if session.for_people:
            show_change(session, change)
        if dry_run:
            return
        if not yes and change["weaker"]:
            _ask(session, f"publish this weaker revision of {name}?", "--yes")
        elif not yes and on_a_terminal() and not session.format:
            confirm(f"publish {name}?")
        got = client.publish_policy(name, content, expected=expected, reason=reason)
    proposal = got.get("proposal")
    message = (
        f"proposed revision {proposal['revision']} of policy {name}; another admin confirms it with "
        f"`regista policy confirm {name} --revision {proposal['revision']}`"
        if proposal
        else f"published policy {name}"
    )
    session.one(got, message)


@command("confirm", group=policy, examples="regista policy confirm production-high --revision 7")
@click.argument("name")
@click.option("--revision", type=click.IntRange(1), help="The revision of the proposal that you read.")
@OPTIONAL_REASON
def confirm_(session: Session, name: str, revision: int | None, reason: str) -> None:
    """Publish a weaker revision that another admin proposed."""
    with session.client() as client:
        proposal = client.policy(name).get("proposal")
        if proposal is None:
            raise click.UsageError(f"no revision of policy {name} waits for a second admin")
        if revision is None:
            show_change(session, client.preview_policy(name, proposal["policy"]))
            question = f"confirm revision {proposal['revision']} by {proposal['proposed_by']}?"
            _ask(session, question, f"--revision {proposal['revision']}")
        got = client.confirm_policy(name, revision or proposal["revision"], reason)
    session.one(got, f"published policy {name}")


def _ask(session: Session, question: str, option: str) -> None:
    """Ask a person. Raises click.UsageError, with the option that answers, where no one can."""
    if session.format or not on_a_terminal():
        raise click.UsageError(f"{question} Read what it shows, then repeat with {option}")
    confirm(question)


def show_change(session: Session, change: Mapping[str, Any]) -> None:
    """Print what a policy changes: how it requires less, and models and reviews before → after."""
    for sentence in change["weaker"]:
        say(f"weaker: {sentence}", fg="yellow")
    if change["second_admin"]:
        say("a second admin must confirm it")
    models = [
        ("model", "model"),
        ("stage", "stage"),
        ("policy", lambda m: f"{m['policy_before'] or '-'} → {m['policy_after'] or '-'}"),
        ("approvers", lambda m: f"{_people(m['approvers_before'])} → {_people(m['approvers_after'])}"),
    ]
    session.items(change["models"], models, "no model changes its policy")
    _say_more(change["models"], change["models_changed"], "models")
    reviews = [
        ("review", "review_id"),
        ("version", lambda r: f"{r['model']}@{r['number']}"),
        ("approvers", lambda r: f"{r['needs_before']} → {_people(r['needs_after'])}"),
        ("then", "then"),
    ]
    session.items(change["reviews"], reviews, "no open review is concerned")
    _say_more(change["reviews"], change["reviews_changed"], "reviews")


def _people(approvers: int | None) -> str:
    return "-" if approvers is None else str(approvers) if approvers else "no person"


def _say_more(shown: list[Any], all_: int, what: str) -> None:
    if all_ > len(shown):
        say(f"{all_} {what} change; these are some of them")
