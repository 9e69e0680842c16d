"""`regista events`: the public events, as they come or up to now."""

from __future__ import annotations

import heapq
import json
import sys
from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from regista.cli.terminal.output import Column, as_csv, as_yaml, one_line, say, text, to_the_second
from regista.cli.terminal.session import Session, command

LATELY = timedelta(days=1)
"""The time that `tail` shows without --since and without a bookmark."""
NEWEST = 20


@click.group()
def events() -> None:
    """Show what happens to models: the public events, verified."""


def _options(function: Any) -> Any:
    for option in reversed(
        (
            click.option("--model", metavar="NAME", help="Only events about this model."),
            click.option("--namespace", metavar="NAME", help="Only this namespace and those below it."),
            click.option(
                "--type", "types", multiple=True, metavar="TYPE", help="Only this type, e.g. VersionPromoted."
            ),
            click.option(
                "--since", metavar="TIME|CURSOR", help="Begin at a time or a day in UTC, or behind an event."
            ),
            click.option(
                "--bookmark",
                type=click.Path(dir_okay=False, path_type=Path),
                help="Begin where this file ended, and keep in it how far it got.",
            ),
            click.option(
                "--via", type=click.Choice(["http", "kafka"]), help="Kafka needs the user of a reader."
            ),
        )
    ):
        function = option(function)
    return function


@command(
    group=events,
    examples="regista events tail\n"
    "regista events tail --model churn --since 2026-03-01\n"
    "regista events tail --type VersionPromoted --type RolledBack -o json\n"
    "regista events tail --bookmark ~/regista.bookmark",
)
@_options
@click.option(
    "--lines",
    "-n",
    type=click.IntRange(1),
    help=f"Only the newest. Default: {NEWEST} of the last day; all with --since or a bookmark.",
)
def tail(session: Session, since: str | None, bookmark: Path | None, lines: int | None, **asked: Any) -> None:
    """Show the events up to now, the newest last.

    With --bookmark they are shown as they come: in order within a stream, one service after the other.
    """
    if lines and bookmark:
        raise click.UsageError("--lines would leave events out that --bookmark passes: name one of them")
    if not since and not (bookmark and bookmark.exists()):
        since = (datetime.now(UTC) - LATELY).isoformat()
        lines = lines or (None if bookmark else NEWEST)
    asked = {name: value or None for name, value in asked.items()} | {"types": asked["types"]}
    with session.client() as client:
        found: Iterable[Any] = client.events(
            since=since, bookmark=bookmark, follow=False, **asked | {"via": asked["via"] or ""}
        )
        _show(session, found if bookmark else _by_time(found, lines))


def _by_time(found: Iterable[Any], lines: int | None) -> list[Any]:
    """Return the events, or the newest `lines` of them, by the time of recording.

    The feed sends those of one service after those of another. Events of the same time keep its order.
    """
    if lines is None:
        return sorted(found, key=lambda event: event.recorded_at)
    newest = heapq.nlargest(lines, enumerate(found), key=lambda one: (one[1].recorded_at, one[0]))
    return [event for _, event in reversed(newest)]


@command(
    group=events,
    examples="regista events follow\n"
    "regista events follow --model churn\n"
    "regista events follow --bookmark ~/regista.bookmark --json | while read -r event; do …; done",
)
@_options
def follow(session: Session, since: str | None, bookmark: Path | None, **asked: Any) -> None:
    """Show the events from now on, until you stop it (Ctrl-C).

    A bookmark keeps how far it got: the next run shows what came meanwhile. A line may come twice after a
    crash; the id of the event is then the same.
    """
    asked = {name: value or None for name, value in asked.items()} | {"types": asked["types"]}
    with session.client(lasting=True) as client:
        found = client.events(since=since, bookmark=bookmark, **asked | {"via": asked["via"] or ""})
        try:
            _show(session, found)
        except KeyboardInterrupt:
            return


COLUMNS: list[Column] = [
    ("when", lambda e: to_the_second(e.recorded_at.isoformat())),
    ("what", lambda e: e.type),
    ("about", lambda e: _about(e.data, e.stream)),
    ("details", lambda e: _details(e.data)),
]
DETAILS = (
    "semver",
    "environment",
    "alias",
    "by",
    "approver",
    "requester",
    "reason",
    "comment",
    "reasons",
    "detail",
)


def _about(data: Any, stream: str) -> str:
    """Return what an event is about: the version, the model, the environment or policy, or the stream."""
    name = data.get("model") or data.get("model_id") or data.get("name")
    if name is None:
        return stream
    return f"{name}@{data['number']}" if data.get("number") else str(name)


def _details(data: Any) -> str:
    found = [(name, data.get(name)) for name in DETAILS if data.get(name)]
    return "; ".join(f"{name} {one_line(text(value))}" for name, value in found)


def _show(session: Session, found: Iterable[Any]) -> None:
    show, first = _FORMS.get(session.format, _as_line), True
    for event in found:
        for line in show(event, first):
            say(line)
        first = False
    if first and session.for_people:
        say("there are no such events: --since TIME looks further into the past", err=True)


def _as_json(event: Any, _first: bool) -> Iterator[str]:
    yield _json_line(event.as_json())


def _json_line(value: Any) -> str:
    """Return JSON on one line, without characters that control a terminal."""
    dumped = json.dumps(value, ensure_ascii=False)
    return "".join(c if c.isprintable() else json.dumps(c)[1:-1] for c in dumped)


def _as_document(event: Any, first: bool) -> Iterator[str]:
    yield ("" if first else "---\n") + as_yaml(event.as_json())


def _as_csv(event: Any, first: bool) -> Iterator[str]:
    lines = as_csv([event], COLUMNS).split("\n", 1)
    yield from lines if first else lines[1:]


def _as_name(event: Any, _first: bool) -> Iterator[str]:
    yield one_line(event.id)


def _as_line(event: Any, first: bool) -> Iterator[str]:
    """Return one line for people: aligned by the usual lengths on a terminal, tab-separated elsewhere."""
    cells = [one_line(value(event)) for _, value in COLUMNS]
    if sys.stdout.isatty():
        yield "  ".join((cells[0], cells[1].ljust(18), *cells[2:])).rstrip()
        return
    if first:
        yield "\t".join(title for title, _ in COLUMNS)
    yield "\t".join(cells)


_FORMS: dict[str, Callable[[Any, bool], Iterator[str]]] = {
    "json": _as_json,
    "yaml": _as_document,
    "csv": _as_csv,
    "name": _as_name,
}
