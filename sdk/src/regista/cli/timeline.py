"""`regista timeline`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.terminal.moments import SINCE, UNTIL
from regista.cli.terminal.people import actors, naming, warn_of_faults, when, who
from regista.cli.terminal.session import Session, command
from regista.cli.terminal.stored_names import explain_stored_names


@command(
    examples="regista timeline churn\n"
    "regista timeline churn --json | jq 'map(select(.type == \"VersionPromoted\"))'"
)
@click.argument("model")
@click.option("--number", type=int, help="Only this version.")
@click.option("--oldest", is_flag=True, help="The oldest events first.")
@click.option("--notes", is_flag=True, help="Also the copies of other services' events (type Noted).")
@SINCE
@UNTIL
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def timeline(
    session: Session,
    model: str,
    number: int | None,
    since: str,
    until: str,
    limit: int,
    *,
    oldest: bool,
    notes: bool,
) -> None:
    """List the events of a model, the newest first: when, who, what, why."""
    with session.client() as client:
        found = client.timeline(
            model, limit, number, newest=not oldest, notes=notes, since=since, until=until
        )
        shown = naming(session, client, (subject for event in found for subject in actors(event)))
    columns = [
        ("when", when),
        ("what", "type"),
        ("version", "number"),
        ("who", lambda e: who(e, shown)),
        ("why", why),
        ("because of", _cause),
    ]
    selected = number is not None or since or until
    nothing = f"{model} has no such events" if selected else f"{model} has no events"
    session.items(found, columns, nothing, limit)
    explain_stored_names(session, [{"type": event.get("type")} for event in found])
    warn_of_faults(found)


def why(event: Mapping[str, Any]) -> str:
    """Return the reason, and what a note, a description, a correction or an after-review states."""
    data = event.get("data") if isinstance(event.get("data"), Mapping) else None
    stated = _STATED[event["type"]](data or {}) if event.get("type") in _STATED else []
    return "; ".join(str(part) for part in (event.get("reason"), *stated) if part)


def _note(data: Mapping[str, Any]) -> list[Any]:
    return [data.get("text")]


def _described(data: Mapping[str, Any]) -> list[Any]:
    return [data.get("description"), ", ".join(f"{k}={v}" for k, v in (data.get("tags") or {}).items())]


def _corrected(data: Mapping[str, Any]) -> list[Any]:
    return [f"{c['field']}: {c['before']} → {c['after']}" for c in data.get("changes") or ()]


def _denied(data: Mapping[str, Any]) -> list[Any]:
    return [data.get("code"), data.get("detail")]


def finding(justified: bool | None) -> str:
    """Return what an after-review found about its override, "" where there is none."""
    return "" if justified is None else f"found it {'justified' if justified else 'NOT justified'}"


def _after_review(data: Mapping[str, Any]) -> list[Any]:
    return [finding(data.get("justified")), data.get("comment")]


_STATED = {
    "AttemptsDenied": _denied,
    "OverrideReviewed": _after_review,
    "NoteAdded": _note,
    "NoteCorrected": _note,
    "VersionDescribed": _described,
    "MetadataCorrected": _corrected,
}
"""What the events of some types state, in words."""


def _cause(event: Mapping[str, Any]) -> str:
    cause = event.get("caused_by") or {}
    return f"{cause['type']} ({cause['service']})" if cause else ""
