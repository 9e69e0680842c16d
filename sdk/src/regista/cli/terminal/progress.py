"""One progress bar for a whole transfer, however many files it has."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO

from rich.progress import (
    BarColumn,
    DownloadColumn,
    MofNCompleteColumn,
    Progress,
    TaskID,
    TextColumn,
    TransferSpeedColumn,
)

from regista.cli.terminal.output import console, one_line


class Bar:
    """Adds up what is done of each part of the work. `begin` states how much there is, if it is known."""

    def __init__(self, bars: Progress, title: str) -> None:
        self._bars, self._title = bars, title
        self._task: TaskID | None = None
        self._done: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._all = self._files = 0

    def begin(self, files: int, total: int) -> None:
        """State the number of files and their bytes."""
        self._files, self._all = files, total
        self._show("", 0)

    def __call__(self, name: str, done: int, total: int) -> None:
        """Show how much of one part is done."""
        self._totals[name] = total
        more = done - self._done.get(name, 0)
        self._done[name] = done
        self._show(name, more)

    def _show(self, name: str, more: int) -> None:
        text = one_line(f"{self._title} {name}" if self._files < 2 else f"{self._title} {self._files} files")
        total = self._all or sum(self._totals.values())
        if self._task is None:
            self._task = self._bars.add_task(text, total=total)
        self._bars.update(self._task, advance=more, total=total, description=text)


@contextmanager
def bar(title: str, file: TextIO, *, bytes_: bool) -> Iterator[Bar]:
    """Show a bar of bytes, or of other things, on a terminal until the block ends."""
    amounts = (DownloadColumn(), TransferSpeedColumn()) if bytes_ else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *amounts)
    with Progress(*columns, console=console(file), transient=True) as bars:
        yield Bar(bars, title)
