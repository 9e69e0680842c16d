"""What commands share: the client, the choice of output, and how things are shown to people or to programs."""

from __future__ import annotations

import functools
import json
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from regista.client.sync_client import Client
    from regista.files import Progress

Column = tuple[str, Any]  # the title; the item's key, or a function of the item
WIDE = 200  # columns where nobody looks at a terminal


class Session:
    """One call of the command line. `json` is set by the command's own `--json`."""

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self.json = False

    @contextmanager
    def client(self) -> Iterator[Client]:
        """A client for the length of the command."""
        from regista.client.profile import read_profile  # noqa: PLC0415 - imported when a command runs
        from regista.client.sync_client import Client  # noqa: PLC0415

        with Client(read_profile(self._profile)) as client:
            yield client

    def items(
        self, items: Sequence[Mapping[str, Any]], columns: Sequence[Column], nothing: str, limit: int = 0
    ) -> None:
        """A list: a table for people, an array for programs. People are told when it ended at `limit`."""
        if self.json:
            self.out(items)
        elif not items:
            click.echo(nothing, err=True)
        else:
            _print(_table(items, columns))
            if limit and len(items) >= limit:
                click.echo(f"These are the first {limit}; there may be more: --limit {10 * limit}", err=True)

    def one(self, item: Mapping[str, Any], said: str = "") -> None:
        """One thing: `said` or its fields for people, an object for programs."""
        if self.json:
            self.out(item)
        elif said:
            click.echo(printable(said))
        else:
            _print(_fields(item))

    @staticmethod
    def out(value: Any) -> None:
        """JSON on stdout."""
        click.echo(json.dumps(value, indent=2, ensure_ascii=False, default=str))

    @contextmanager
    def progress(self, title: str) -> Iterator[Progress | None]:
        """Progress bars on a terminal's stderr; nothing elsewhere."""
        if not sys.stderr.isatty():
            yield None
            return
        from rich.console import Console  # noqa: PLC0415
        from rich.progress import BarColumn, DownloadColumn, TextColumn, TransferSpeedColumn  # noqa: PLC0415
        from rich.progress import Progress as Bars  # noqa: PLC0415

        columns = (
            TextColumn(f"{title} {{task.description}}", markup=False),
            BarColumn(),
            DownloadColumn(),
            TransferSpeedColumn(),
        )
        with Bars(*columns, console=Console(stderr=True), transient=True) as bars:
            tasks: dict[str, Any] = {}

            def report(name: str, done: int, total: int) -> None:
                if name not in tasks:
                    tasks[name] = bars.add_task(name, total=total)
                bars.update(tasks[name], completed=done)

            yield report

    @contextmanager
    def waiting(self, title: str) -> Iterator[None]:
        """A spinner on a terminal's stderr while something is waited for."""
        if not sys.stderr.isatty():
            yield
            return
        from rich.console import Console  # noqa: PLC0415

        with Console(stderr=True).status(title):
            yield


def command(
    *args: Any, examples: str = "", group: click.Group | None = None, **kwargs: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """A click command with `--json` and examples in its help; the function gets the Session first."""
    kwargs["epilog"] = (
        "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines())
        if examples
        else None
    )

    def made(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(*inner: Any, json_: bool, **named: Any) -> Any:
            session = click.get_current_context().find_object(Session) or Session("")
            session.json = json_
            return function(session, *inner, **named)

        option = click.option(
            "--json", "json_", is_flag=True, help="For programs: JSON on stdout, also for errors (on stderr)."
        )
        made_by: Callable[..., Callable[[Any], click.Command]] = group.command if group else click.command
        return made_by(*args, **kwargs)(option(run))

    return made


def to_the_second(time: Any) -> str:
    """A service's time as people read it, in a form that `--at` takes; "" where there is none."""
    said = str(time or "")
    return f"{said[:19]}Z" if said.endswith(("Z", "+00:00")) else said


def printable(said: object) -> str:
    """Text without control characters, but for the ends of its lines: what others wrote cannot steer the terminal."""
    return "".join(c if c.isprintable() or c in "\n\t" else "�" for c in str(said))


def pairs(values: Iterable[str], what: str) -> dict[str, str]:
    """`name=value` arguments. Raises click.BadParameter."""
    found = {}
    for value in values:
        name, sign, text = value.partition("=")
        if not sign or not name:
            raise click.BadParameter(f"{value!r} is no {what}: write NAME=VALUE")
        found[name] = text
    return found


def _print(shown: Any) -> None:
    from rich.console import Console  # noqa: PLC0415

    console = Console() if sys.stdout.isatty() else Console(width=WIDE, highlight=False)
    console.print(shown)


def _table(items: Sequence[Mapping[str, Any]], columns: Sequence[Column]) -> Any:
    from rich import box  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for title, _ in columns:
        table.add_column(title, overflow="fold")
    for item in items:
        table.add_row(*(text(item.get(key) if isinstance(key, str) else key(item)) for _, key in columns))
    return table


def _fields(item: Mapping[str, Any]) -> Any:
    from rich.table import Table  # noqa: PLC0415

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in item.items():
        if value not in (None, "", [], {}):
            table.add_row(name.replace("_", " "), text(value))
    return table


def text(value: Any) -> Any:
    """A value as a person reads it, safe against markup in names."""
    from rich.text import Text  # noqa: PLC0415

    if value is None:
        return Text("")
    if isinstance(value, float):
        return Text(f"{value:.10g}")
    if isinstance(value, list) and all(isinstance(v, str | int) for v in value):
        return Text(", ".join(str(v) for v in value))
    if isinstance(value, Mapping | list):
        return Text("\n".join(_lines(value)))
    return Text(_safe(value))


def _safe(value: Any) -> str:
    """As `printable`, in one line."""
    said = str(value) if not isinstance(value, bool) else "yes" if value else "no"
    return "".join(c if c.isprintable() else "�" for c in said)


def _lines(value: Any) -> list[str]:
    """Nested values as indented lines; what is empty is left out."""
    if isinstance(value, Mapping):
        lines = []
        for name, inner in value.items():
            if inner in (None, "", [], {}):
                continue
            said = _lines(inner)
            deep = isinstance(inner, Mapping | list) and len(said) > 1
            lines += (
                [f"{_safe(name)}:", *(f"  {line}" for line in said)]
                if deep
                else [f"{_safe(name)}: {said[0]}"]
            )
        return lines or ["-"]
    if isinstance(value, list) and all(isinstance(v, str | int | float) for v in value):
        return [", ".join(_safe(v) for v in value)]
    if isinstance(value, list):
        return [line for inner in value for line in _bullet(_lines(inner))] or ["-"]
    return [_safe(value)]


def _bullet(lines: list[str]) -> list[str]:
    return [f"{'- ' if at == 0 else '  '}{line}" for at, line in enumerate(lines)]
