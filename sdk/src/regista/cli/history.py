"""`regista timeline` and `regista as-of`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from regista.cli.people import Shown, naming
from regista.cli.promotion import ENVIRONMENT
from regista.cli.session import Session, command, printable, to_the_second


@command(
    examples="regista timeline churn\nregista timeline churn --json | jq 'map(select(.type == \"VersionPromoted\"))'"
)
@click.argument("model")
@click.option("--number", type=int, help="Only this version.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def timeline(session: Session, model: str, number: int | None, limit: int) -> None:
    """Everything that happened to a model: when, who, what, why."""
    with session.client() as client:
        found = client.timeline(model, limit, number)
        shown = naming(session, client, (subject for event in found for subject in actors(event)))
    columns = [
        ("when", when),
        ("what", "type"),
        ("version", "number"),
        ("who", lambda e: who(e, shown)),
        ("why", "reason"),
        ("because of", _cause),
    ]
    session.items(found, columns, f"nothing is recorded of {model}", limit)


def when(event: Mapping[str, Any]) -> str:
    """To the second, as people read it."""
    return to_the_second(event.get("recorded_at"))


def _cause(event: Mapping[str, Any]) -> str:
    cause = event.get("caused_by") or {}
    return f"{cause['type']} ({cause['service']})" if cause else ""


def actors(event: Mapping[str, Any]) -> Iterator[Any]:
    """The subjects that `who` shows."""
    actor = event.get("actor") or {}
    yield from (actor.get("subject"), actor.get("on_behalf_of"))


def who(event: Mapping[str, Any], shown: Shown) -> str:
    """The actor, and for whom."""
    subject, behalf = actors(event) if event.get("actor") else ("", "")
    return shown(subject) + (f" for {shown(behalf)}" if behalf else "")


@command("as-of", examples="regista as-of churn --at 2026-03-01T12:00:00Z\nregista as-of churn")
@click.argument("model")
@click.option(
    "--at", "moment", metavar="TIME", help="RFC 3339, for example 2026-03-01T12:00:00Z; now when left out."
)
@ENVIRONMENT
def as_of(session: Session, model: str, moment: str | None, environment: str) -> None:
    """What was in production at a moment, who approved it and on what evidence."""
    with session.client() as client:
        found = client.as_of(model, moment, environment)
        shown = naming(session, client, _people(found))
    if session.json:
        session.out(found)
        return
    columns = [
        ("number", "number"),
        ("version", "semver"),
        ("percent", "percent"),
        ("role", "role"),
        ("promoted", _promoted),
        ("asked by", lambda e: who(_requested(e), shown)),
        ("approved by", lambda e: _approvers(e, shown)),
        ("evidence", lambda e: str((e.get("promotion") or {}).get("evidence_digest") or "")[:19]),
    ]
    session.items(
        found["entries"], columns, f"nothing served {model} in {environment} at {moment or 'this moment'}"
    )
    if found.get("since"):
        changed = found.get("changed_by") or {}
        click.echo(
            printable(
                f"so since {to_the_second(found['since'])}, changed by {who(changed, shown)}: {changed.get('reason') or 'no reason given'}"
            )
        )


def _promoted(entry: Mapping[str, Any]) -> str:
    return to_the_second((entry.get("promotion") or {}).get("promoted_at"))


def _people(found: Mapping[str, Any]) -> Iterator[Any]:
    yield from actors(found.get("changed_by") or {})
    for entry in found["entries"]:
        yield from actors(_requested(entry))
        yield from _approved(entry)


def _requested(entry: Mapping[str, Any]) -> Mapping[str, Any]:
    return {"actor": ((entry.get("promotion") or {}).get("requested") or {}).get("by")}


def _approved(entry: Mapping[str, Any]) -> list[Any]:
    return [a.get("subject") for a in (entry.get("promotion") or {}).get("approvers") or ()]


def _approvers(entry: Mapping[str, Any], shown: Shown) -> str:
    return ", ".join(map(shown, _approved(entry))) + (
        " (override)" if (entry.get("promotion") or {}).get("override") else ""
    )
