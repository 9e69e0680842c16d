"""`regista compare`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import click

from regista.cli.terminal.output import text
from regista.cli.terminal.session import Session, command


@command(
    examples="regista compare churn@1 2 7\nregista compare churn@production churn@latest risk.base@2 --json"
)
@click.argument("references", metavar="MODEL@VERSION [MODEL@]VERSION...", nargs=-1, required=True)
def compare(session: Session, references: tuple[str, ...]) -> None:
    """Show two to ten versions beside each other, also of different models.

    Metrics are compared on the same data by the same definition only; * marks the best value. Of
    configuration, training and schema it shows what differs; values in brackets do not count.
    """
    if not 2 <= len(references) <= 10:
        raise click.UsageError("name two to ten versions, for example: regista compare churn@1 churn@2")
    from regista.calls.requests import model_and_version  # noqa: PLC0415

    model, _ = model_and_version(references[0])
    named = [one if "@" in one else f"{model}@{one}" for one in references]
    with session.client() as client:
        found = client.compare(*named)
    if session.json:
        session.out(found)
        return
    columns: list[Any] = [("part", "part"), ("name", _name)]
    for index, version in enumerate(found["versions"]):
        title = f"{version.get('model')}@{version.get('number')}"
        columns.append((title, lambda row, index=index: _value(row, index)))
    session.items(found["rows"], columns, "nothing to compare")


def _name(row: Mapping[str, Any]) -> str:
    return f"{row.get('name')} on {row['on']}" if row.get("on") else str(row.get("name"))


def _value(row: Mapping[str, Any], index: int) -> str:
    values = row.get("values") or []
    shown = text(values[index]) if index < len(values) else ""
    best = row.get("best") or []
    if row.get("noise") is True:
        return f"({shown})"
    return f"{shown} *" if index in best and len(best) < len(values) else shown
