"""Print `regista status` as tables."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from dataclasses import asdict, fields

from rich.table import Table
from rich.text import Text

from regista.cli.terminal.output import as_csv, as_json, as_yaml, console, one_line, say
from services.local.amounts import Amounts
from services.local.status import Part, Status
from shared.foundation.topics import topic_of

KIBI = 1024


def show(status: Status) -> None:
    """Print the tables: aligned on a terminal, tab-separated elsewhere."""
    if status.problem:
        say(status.problem, fg="red")
    if not status.parts:
        say("Nothing runs. Start it with `regista up`.")
        return
    _print(_parts(status.parts))
    if status.consumers:
        _print(
            _lags(
                "consumer group",
                "topic",
                [
                    (g, t, lag)
                    for g, topics in sorted(status.consumers.items())
                    for t, lag in sorted(topics.items())
                ],
            )
        )
    if status.relays:
        _print(
            _lags(
                "relay", "topic", [(name, topic_of(name), lag) for name, lag in sorted(status.relays.items())]
            )
        )
    if status.amounts:
        _print(_amounts(status.amounts, status.ages))
    for what, why in status.unknown.items():
        say(f"how far {what} are behind is unknown: {why}", fg="yellow")


def written(status: Status, form: str) -> str:
    """Return the status as JSON or YAML, the processes as CSV, or their names."""
    if form in {"json", "yaml"}:
        whole = asdict(status) | {"ready": status.ready}
        return as_json(whole) if form == "json" else as_yaml(whole)
    if form == "name":
        return "\n".join(one_line(part.name) for part in status.parts)
    columns = [(field.name, field.name) for field in fields(Part)]
    return as_csv([asdict(part) for part in status.parts], columns)


def _print(table: Table) -> None:
    if sys.stdout.isatty():
        console().print(table)
        return
    for row in zip(*((column.header, *column.cells) for column in table.columns), strict=True):
        say("\t".join(_plain(row)))


def _plain(row: Iterable[object]) -> Iterable[str]:
    return (Text.from_markup(cell).plain if isinstance(cell, str) else str(cell) for cell in row)


def _parts(parts: list[Part]) -> Table:
    table = Table("", "process", "where", "state", "up", "memory", "exits", box=None, header_style="dim")
    table.columns[2].no_wrap = True
    for part in parts:
        sign = "[green]●[/]" if part.ready else "[yellow]○[/]" if part.running else "[red]✗[/]"
        state = "ready" if part.ready else part.why or ("starting" if part.running else "down")
        if part.ended:
            state = f"its part {part.ended} ended; {state}"
        if part.last:
            state = f"{state} (started again: {part.last})"
        table.add_row(
            sign,
            part.name,
            Text(one_line(part.where)),
            Text(one_line(state)),
            f"{part.up:.0f} s",
            f"{part.resident / 2**20:.0f} MiB",
            str(part.exits or ""),
        )
    return table


def _amounts(amounts: Amounts, ages: Mapping[str, float]) -> Table:
    table = Table("what there is", "how much", "measured", box=None, header_style="dim")
    for what, values in amounts.items():
        unit = what.endswith("_bytes")
        shown = [f"{label} {_size(value) if unit else f'{value:,.0f}'}" for label, value in values.items()]
        table.add_row(
            what.removesuffix("_bytes").replace("_", " "),
            Text(one_line(", ".join(shown) or "none")),
            _ago(ages.get(what)),
        )
    return table


def _ago(seconds: float | None) -> str:
    if seconds is None:
        return ""
    return f"{seconds:.0f} s ago" if seconds >= 1 else "now"


def _size(value: float) -> str:
    for unit in ("B", "KiB", "MiB", "GiB"):
        if value < KIBI:
            return f"{value:,.0f} {unit}"
        value /= KIBI
    return f"{value:,.1f} TiB"


def _lags(who: str, what: str, rows: list[tuple[str, str, int]]) -> Table:
    table = Table(who, what, "behind", box=None, header_style="dim")
    table.columns[2].justify = "right"
    for name, topic, lag in rows:
        table.add_row(Text(one_line(name)), Text(one_line(topic)), f"[yellow]{lag}[/]" if lag else "0")
    return table
