"""`regista serving`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.terminal.output import to_the_second
from regista.cli.terminal.people import naming
from regista.cli.terminal.session import Session, command


@command(
    examples="regista serving\n"
    "regista serving -e production --namespace risk\n"
    "regista serving --model churn --json | jq -r '.[].environment'"
)
@click.option("--environment", "-e", help="Only this environment.")
@click.option("--production/--no-production", default=None, help="Only production environments, or others.")
@click.option("--model", help="Only this model (name, old name or id).")
@click.option("--namespace", help="Only models of this namespace and of those below it.")
@click.option("--stopped", is_flag=True, help="Show stopped rollouts, too.")
@click.option("--limit", type=click.IntRange(1), default=200, show_default=True)
def serving(session: Session, limit: int, **filters: Any) -> None:
    """Show what serves where: every model in every environment."""
    with session.client() as client:
        found = client.serving(limit, **filters)
        shown = naming(session, client, (rollout.get("changed_by") for rollout in found))
    columns = [
        ("model", "model"),
        ("environment", "environment"),
        ("production", "production"),
        ("serves", _serves),
        ("since", lambda r: to_the_second(r.get("changed_at"))),
        ("by", lambda r: shown(r.get("changed_by"))),
        ("reason", "reason"),
    ]
    session.items(found, columns, "no version that you may read serves there", limit)


def _serves(rollout: Mapping[str, Any]) -> str:
    """Return the champion first, then the others with their roles; a withdrawn version is marked."""
    entries = sorted(rollout.get("entries") or (), key=lambda e: (e["role"] != "champion", -e["percent"]))
    return ", ".join(map(_entry, entries)) or "nothing: stopped"


def _entry(entry: Mapping[str, Any]) -> str:
    role = "" if entry["role"] == "champion" else f" {entry['role']}"
    withdrawn = f", withdrawn: {entry['withdrawn']}" if entry.get("withdrawn") else ""
    return f"{entry['number']} ({entry['semver']}){role} {entry['percent']:g} %{withdrawn}"
