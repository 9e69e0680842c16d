"""Show how far a transfer is: one bar on a terminal, one line in a notebook, nothing elsewhere.

`progress` of a call is a function of one's own, True or False, or None: a bar where a person sees it, none in
a pipe or in CI (the variable `CI`).
"""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID

Report = Callable[[str, int, int], None]
"""Called with the name of a file, the bytes done, and the bytes in all.

If it has a method `begin`, that is called before, with the number of files and their bytes.
"""
Progress = Report | bool
LINE_SECONDS = 0.2
"""Time between two versions of the line in a notebook."""


def is_notebook() -> bool:
    """Return whether this is a notebook: IPython with a kernel, and no terminal."""
    shell = getattr(sys.modules.get("__main__"), "get_ipython", None) or getattr(
        sys.modules.get("builtins"), "get_ipython", None
    )
    return shell is not None and hasattr(shell(), "kernel")


def is_watched() -> bool:
    """Return whether a person sees what is written now: on a terminal or in a notebook, and not in CI."""
    in_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    return not in_ci and (is_notebook() or sys.stderr.isatty())


@contextmanager
def reporting(progress: Progress | None, title: str, *, bytes_: bool = True) -> Iterator[Report | None]:
    """Yield what a transfer reports to, None for nothing. `title` is what happens: `uploading`."""
    if progress is None:
        progress = is_watched()
    if not isinstance(progress, bool):
        yield progress
        return
    if not progress:
        yield None
        return
    shown: Bar | Line
    if is_notebook() or not sys.stderr.isatty():
        shown = Line(title, sys.stdout if is_notebook() else sys.stderr)
    else:
        shown = Bar(lambda: _bars(sys.stderr, bytes_=bytes_), title)
    try:
        yield shown
    finally:
        shown.end()


def _bars(file: TextIO, *, bytes_: bool) -> Bars:
    """Return what shows bars of bytes, or of other things, on a terminal."""
    from rich.console import Console  # noqa: PLC0415 - imported when something is transferred
    from rich.progress import (  # noqa: PLC0415
        BarColumn,
        DownloadColumn,
        MofNCompleteColumn,
        TextColumn,
        TransferSpeedColumn,
    )
    from rich.progress import Progress as Bars  # noqa: PLC0415

    amounts = (DownloadColumn(), TransferSpeedColumn()) if bytes_ else (MofNCompleteColumn(),)
    columns = (TextColumn("{task.description}", markup=False), BarColumn(), *amounts)
    return Bars(*columns, console=Console(file=file), transient=True)


class Amounts:
    """Adds up what is done of each part of the work. `begin` states how much there is, if it is known."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._done: dict[str, int] = {}
        self._totals: dict[str, int] = {}
        self._all = self._files = self.done = 0

    def begin(self, files: int, total: int) -> None:
        """State the number of files and their bytes."""
        self._files, self._all = files, total
        self._show(self._text(""))

    def __call__(self, name: str, done: int, total: int) -> None:
        """Report how much of one part is done."""
        self._totals[name] = total
        self.done += done - self._done.get(name, 0)
        self._done[name] = done
        self._show(self._text(name))

    @property
    def total(self) -> int:
        return self._all or sum(self._totals.values())

    def _text(self, name: str) -> str:
        what = name if self._files < 2 else f"{self._files} files"
        return "".join(c if c.isprintable() else "�" for c in f"{self._title} {what}".strip())

    def _show(self, text: str) -> None:
        raise NotImplementedError


class Bar(Amounts):
    """One bar for a whole transfer, however many files it has. It appears when the transfer begins."""

    def __init__(self, bars: Callable[[], Bars], title: str) -> None:
        super().__init__(title)
        self._new_bars = bars
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def _show(self, text: str) -> None:
        if self._bars is None:
            self._bars = self._new_bars()
            self._bars.start()
        if self._task is None:
            self._task = self._bars.add_task(text, total=self.total)
        self._bars.update(self._task, completed=self.done, total=self.total, description=text)

    def end(self) -> None:
        """Remove the bar from the terminal."""
        if self._bars is not None:
            self._bars.stop()


class Line(Amounts):
    """One line that is written again and again, without control sequences, as notebooks show it."""

    def __init__(self, title: str, file: TextIO) -> None:
        super().__init__(title)
        self._file = file
        self._shown_at = 0.0
        self._last = self._written = ""

    def _show(self, text: str) -> None:
        amount = f"{self.done / 1e6:,.1f} of {self.total / 1e6:,.1f} MB"
        self._last = f"{text} {amount} ({100 * self.done // self.total if self.total else 100} %)"
        if time.monotonic() - self._shown_at >= LINE_SECONDS:
            self._write()

    def end(self) -> None:
        """Write how far the transfer came, and end the line. Nothing was transferred: nothing is written."""
        if self._last:
            self._write()
            self._print("\n")

    def _write(self) -> None:
        self._shown_at = time.monotonic()
        self._print("\r" + self._last.ljust(len(self._written)))
        self._written = self._last

    def _print(self, text: str) -> None:
        """Write to a stream that may be closed or lack characters: a transfer goes on without its line."""
        with contextlib.suppress(OSError, ValueError):
            self._file.write(text)
            self._file.flush()


def begin(report: Report | None, sizes: Collection[int]) -> None:
    """Pass the size of a transfer to a callback that has a method for it."""
    if report is not None and (begun := getattr(report, "begin", None)) is not None:
        begun(len(sizes), sum(sizes))
