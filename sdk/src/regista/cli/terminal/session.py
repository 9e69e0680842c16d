"""One call of the command line: client, output format, progress; and the decorator of all commands."""

from __future__ import annotations

import functools
import logging
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import click

from regista.cli.terminal.output import (
    FORMATS,
    Column,
    as_csv,
    as_json,
    as_yaml,
    console,
    one_line,
    print_fields,
    print_table,
    printable,
    say,
)

if TYPE_CHECKING:
    from regista.client.profile import Profile
    from regista.client.sync_client import Client
    from regista.progress import Report

NAMES = ("review_id", "promotion_id", "cleanup_run_id", "id", "subject", "name", "alias", "model")
"""The fields that `-o name` prints of an object: the first that it has. A version is printed as MODEL@3."""


SILENT = 5.0
"""Seconds of a wait after which a line on stderr names it."""


class Session:
    """One call of the command line. `format` is one of FORMATS, or "" for people."""

    def __init__(self, profile: str) -> None:
        self._profile = profile
        self.format = ""

    @property
    def json(self) -> bool:
        """True when a program reads the whole answer (JSON or YAML)."""
        return self.format in {"json", "yaml"}

    @property
    def for_people(self) -> bool:
        """True when a person reads the output."""
        return self.format in {"", "wide"}

    def profile(self) -> Profile:
        """Return the settings of the caller. Raises NotConfigured."""
        from regista.client.profile import read_profile  # noqa: PLC0415 - imported when a command runs

        with _warnings_shown():
            return read_profile(self._profile)

    @contextmanager
    def client(self, profile: Profile | None = None, *, lasting: bool = False) -> Iterator[Client]:
        """Return a client for the length of the command, with the settings of the caller or other ones.

        It repeats a request six times, about ten seconds; `lasting`: for a minute, as for an upload.
        """
        from regista.client.patience import Patience  # noqa: PLC0415
        from regista.client.sync_client import Client  # noqa: PLC0415

        waits, used = Patience(attempts=0 if lasting else 6), profile or self.profile()
        with _warnings_shown(), Client(used, patience=waits) as client:
            yield client

    def items(
        self, items: Sequence[Mapping[str, Any]], columns: Sequence[Column], nothing: str, limit: int = 0
    ) -> None:
        """Print a list: a table for people, or the requested format.

        For people, `nothing` replaces an empty list, and a list of `limit` items gets a note that there may
        be more.
        """
        if self.json:
            self.out(items)
        elif self.format == "csv":
            say(as_csv(items, columns))
        elif self.format == "name":
            for item in items:
                say(one_line(_name_in_list(item, columns[0])))
        elif not items:
            say(nothing, err=True)
        else:
            print_table(items, columns, wide=self.format == "wide")
            if limit and len(items) >= limit:
                say(f"These are the first {limit}; there may be more: --limit {10 * limit}", err=True)

    def one(self, item: Mapping[str, Any], message: str = "") -> None:
        """Print an object: `message` or its fields for people, or the requested format."""
        if self.json:
            self.out(item)
        elif self.format == "csv":
            say(as_csv([item], [(name, name) for name in item]))
        elif self.format == "name":
            say(one_line(_name_of(item)))
        elif message:
            say(message)
        else:
            print_fields(item)

    def heading(self, item: Mapping[str, Any]) -> None:
        """Print fields above a list, for people only."""
        if self.for_people:
            print_fields(item)

    def out(self, value: Any) -> None:
        """Print a value as JSON or YAML."""
        say(as_yaml(value) if self.format == "yaml" else as_json(value))

    @contextmanager
    def progress(self, title: str, *, bytes_: bool = True) -> Iterator[Report | None]:
        """Show a progress bar of bytes or other things where a person sees stderr, else yield None."""
        from regista.progress import is_watched, reporting  # noqa: PLC0415 - imported when a command runs

        with reporting(is_watched(), title, bytes_=bytes_) as report:
            yield report

    @contextmanager
    def waiting(self, title: str, seconds: float | None = None) -> Iterator[None]:
        """Show on stderr what is waited for, and for how long at most: a spinner where it is a terminal.

        Elsewhere it is one line, when the wait lasts longer than a few seconds.
        """
        title = title if seconds is None else f"{title}, for up to {seconds:.0f} s"
        if not sys.stderr.isatty():
            timer = threading.Timer(SILENT, say, (title,), {"err": True})
            timer.daemon = True
            timer.start()
            try:
                yield
            finally:
                timer.cancel()
            return
        from rich.text import Text  # noqa: PLC0415 - a pipe needs no rich

        with console(sys.stderr).status(Text(printable(title))):
            yield


def _name_of(item: Mapping[str, Any]) -> Any:
    """Return how later commands name an object."""
    if item.get("model") and item.get("number") and "stage" in item:
        return f"{item['model']}@{item['number']}"
    return next((item[name] for name in NAMES if item.get(name)), "")


def _name_in_list(item: Mapping[str, Any], first: Column) -> Any:
    """Return how later commands name an item of a list: the first column, MODEL@3 where it is a version."""
    title, key = first
    if title in {"model", "number", "steps"} and item.get("model") and item.get("number"):
        return f"{item['model']}@{item['number']}"
    return item.get(key) if isinstance(key, str) else key(item)


class _Warnings(logging.Handler):
    """Prints the client's warnings on stderr."""

    def emit(self, record: logging.LogRecord) -> None:
        say(record.getMessage(), err=True, fg="yellow")


@contextmanager
def _warnings_shown() -> Iterator[None]:
    handler, logger = _Warnings(logging.WARNING), logging.getLogger("regista")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)


def command(
    *args: Any, examples: str = "", group: click.Group | None = None, **kwargs: Any
) -> Callable[[Callable[..., Any]], click.Command]:
    """Make a click command with output options, and examples in its help.

    The decorated function gets the Session as its first argument.
    """
    kwargs["epilog"] = (
        "\b\nExamples:\n" + "\n".join(f"  {line}" for line in examples.strip().splitlines())
        if examples
        else None
    )

    def made(function: Callable[..., Any]) -> click.Command:
        @functools.wraps(function)
        def run(*inner: Any, json_: bool, output: str | None, **named: Any) -> Any:
            session = click.get_current_context().find_object(Session) or Session("")
            session.format = output or ("json" if json_ else "")
            return function(session, *inner, **named)

        made_by: Callable[..., Callable[[Any], click.Command]] = group.command if group else click.command
        return made_by(*args, **kwargs)(_AS_JSON(_OUTPUT(run)))

    return made


_AS_JSON = click.option(
    "--json", "json_", is_flag=True, help="For programs: JSON on stdout, also for errors (on stderr)."
)
_OUTPUT = click.option(
    "-o", "--output", type=click.Choice(FORMATS), help="The output format; wide does not fold long cells."
)


def confirm(question: str) -> None:
    """Ask a person to confirm. Raises click.Abort unless they do."""
    click.confirm(printable(question), abort=True)


def on_a_terminal() -> bool:
    """Return whether a person can read and answer a question."""
    return sys.stdin.isatty()
