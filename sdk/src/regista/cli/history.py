"""`regista timeline` and `regista as-of`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.promotion import ENVIRONMENT
from regista.cli.session import Session, command, printable


@command(examples="regista timeline churn\nregista timeline churn --json | jq 'map(select(.type == \"VersionPromoted\"))'")
@click.argument("model")
@click.option("--number", type=int, help="Only this version.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def timeline(session: Session, model: str, number: int | None, limit: int) -> None:
    """Everything that happened to a model: when, who, what, why."""
    with session.client() as client:
        found = client.timeline(model, limit, number)
    columns = [("when", when), ("what", "type"), ("version", "number"), ("who", who), ("why", "reason"), ("because of", _cause)]
    session.items(found, columns, f"nothing is recorded of {model}")


def when(event: Mapping[str, Any]) -> str:
    """To the second, as people read it."""
    return str(event.get("recorded_at", ""))[:19].replace("T", " ")


def _cause(event: Mapping[str, Any]) -> str:
    cause = event.get("caused_by") or {}
    return f"{cause['type']} ({cause['service']})" if cause else ""


def who(event: Mapping[str, Any]) -> str:
    """The actor, and for whom."""
    actor = event.get("actor") or {}
    return str(actor.get("subject") or "") + (f" for {actor['on_behalf_of']}" if actor.get("on_behalf_of") else "")


@command("as-of", examples="regista as-of churn --at 2026-03-01T12:00:00Z\nregista as-of churn")
@click.argument("model")
@click.option("--at", "moment", metavar="TIME", help="RFC 3339, for example 2026-03-01T12:00:00Z; now when left out.")
@ENVIRONMENT
def as_of(session: Session, model: str, moment: str | None, environment: str) -> None:
    """What was in production at a moment, who approved it and on what evidence."""
    with session.client() as client:
        found = client.as_of(model, moment, environment)
    if session.json:
        session.out(found)
        return
    columns = [
        ("number", "number"), ("version", "semver"), ("percent", "percent"), ("role", "role"), ("promoted", _promoted), ("asked by", _requester),
        ("approved by", _approvers), ("evidence", lambda e: str((e.get("promotion") or {}).get("evidence_digest") or "")[:19]),
    ]  # fmt: skip
    session.items(found["entries"], columns, f"nothing served {model} in {environment} at {moment or 'this moment'}")
    if found.get("since"):
        changed = found.get("changed_by") or {}
        click.echo(printable(f"so since {str(found['since'])[:19]}, changed by {who(changed)}: {changed.get('reason') or 'no reason given'}"))


def _promoted(entry: Mapping[str, Any]) -> str:
    return str((entry.get("promotion") or {}).get("promoted_at") or "")[:19]


def _requester(entry: Mapping[str, Any]) -> Any:
    asked = (entry.get("promotion") or {}).get("requested") or {}
    return who({"actor": asked.get("by")})


def _approvers(entry: Mapping[str, Any]) -> str:
    promotion = entry.get("promotion") or {}
    names = [str(a.get("subject")) for a in promotion.get("approvers") or ()]
    return ", ".join(names) + (" (override)" if promotion.get("override") else "")
