"""`regista as-of`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import click

from regista.cli.terminal.moments import AT
from regista.cli.terminal.options import ENVIRONMENT
from regista.cli.terminal.output import say, to_the_second
from regista.cli.terminal.people import Shown, actors, naming, who
from regista.cli.terminal.session import Session, command


@command(
    "as-of", examples="regista as-of churn --at 2026-03-01T12:00:00Z\nregista as-of churn --at 2026-03-01"
)
@click.argument("model")
@AT
@ENVIRONMENT
def as_of(session: Session, model: str, moment: str | None, environment: str) -> None:
    """Show what was in production at a time, who approved it and on what evidence."""
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
        ("requested by", lambda e: who(_requested(e), shown)),
        ("approved by", lambda e: _approvers(e, shown)),
        ("evidence", lambda e: str((e.get("promotion") or {}).get("evidence_digest") or "")[:19]),
    ]
    entries = [{**entry, "model": model} for entry in found["entries"]]
    session.items(
        entries, columns, f"no version of {model} served in {environment} at {moment or 'this time'}"
    )
    for line in (line for entry in entries for line in _corrected(entry, shown)):
        if session.for_people:
            say(line)
    if found.get("since") and session.for_people:
        changed: Mapping[str, Any] = found.get("changed_by") or {}
        say(
            f"since {to_the_second(found['since'])}, changed by {who(changed, shown)}: "
            f"{changed.get('reason') or _reason_of_promotion(found) or 'no reason given'}"
        )


def _reason_of_promotion(found: Mapping[str, Any]) -> str:
    """Return why the promotion that was this change was overridden or requested, "" for another change."""
    for entry in found["entries"]:
        promotion = entry.get("promotion") or {}
        if promotion.get("promoted_at") == found["since"]:
            return str((promotion.get("override") or promotion.get("requested") or {}).get("reason") or "")
    return ""


def _corrected(entry: Mapping[str, Any], shown: Shown) -> Iterator[str]:
    """Yield what was corrected until then, each with who, when and why."""
    for one in (entry.get("version") or {}).get("corrections") or ():
        changes = "; ".join(f"{c['field']}: {c['before']} → {c['after']}" for c in one["changes"])
        by = who({"actor": one["by"]}, shown)
        at = to_the_second(one["at"])
        yield f"{entry['number']} was corrected by {by} at {at}: {changes} ({one['reason']})"


def _promoted(entry: Mapping[str, Any]) -> str:
    return to_the_second((entry.get("promotion") or {}).get("promoted_at"))


def _people(found: Mapping[str, Any]) -> Iterator[Any]:
    yield from actors(found.get("changed_by") or {})
    for entry in found["entries"]:
        for correction in (entry.get("version") or {}).get("corrections") or ():
            yield from actors({"actor": correction["by"]})
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
