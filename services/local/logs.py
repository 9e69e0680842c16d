"""Merge the logs of all processes into one stream for people."""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

from services.local.folders import InstanceFolder
from services.local.log_writer import files_of

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
COMPARED = 256
HEAD = 160
"""The characters of a line in which servers write its level."""
LEVELS = ("debug", "info", "warning", "error")
_RANKS = {
    **dict.fromkeys(("debug", "trace", "debug1", "debug2", "debug3", "debug4", "debug5"), 0),
    **dict.fromkeys(("info", "log", "notice"), 1),
    **dict.fromkeys(("warning", "warn"), 2),
    **dict.fromkeys(("error", "critical", "fatal", "panic", "severe"), 3),
}
_LEVEL = re.compile(
    r"(?<![\w.])(DEBUG[1-5]?|TRACE|INFO|LOG|NOTICE|WARN(?:ING)?|ERROR|FATAL|PANIC|SEVERE)(?![\w.])"
)
_GLOG, _GLOG_RANKS = re.compile(r"([IWEF])\d{4} "), {"I": 1, "W": 2, "E": 3, "F": 3}
"""SeaweedFS begins a line with one character for its level, and the day."""
_SHOWN = ("time", "level", "logger", "message", "service", "trace", "error", "traceback")


def level_of(line: str) -> int | None:
    """Return the level of a line, an index of LEVELS; None for a line that goes on with the one before."""
    try:
        name = str(json.loads(line)["level"])
    except (ValueError, KeyError, TypeError):
        if glog := _GLOG.match(line):
            return _GLOG_RANKS[glog[1]]
        found = _LEVEL.search(line[:HEAD])
        name = found[0] if found else ""
    return _RANKS.get(name.lower())


@dataclass(slots=True)
class Filter:
    """Keep the lines of one log that have the level `least` or a higher one, and what belongs to them."""

    least: int
    kept: bool = False

    def keeps(self, line: str) -> bool:
        """Return whether the line is shown. A line without a level is shown with the one before it."""
        level = level_of(line)
        if level is not None:
            self.kept = level >= self.least
        return self.kept or not self.least


@dataclass(slots=True)
class Tail:
    """The lines of one log, read from where the last read ended.

    When its file is full and moves on, the rest of it is read first, then the files that follow.
    """

    name: str
    path: Path
    at: int = 0
    inode: int = 0
    before: bytes = b""
    """What stands before `at`: the number of a deleted file (its inode) is given to a new one."""
    level: Filter = field(default_factory=lambda: Filter(0))

    def new_lines(self) -> Iterator[str]:
        """Return the complete lines that were added."""
        for path, inode in self._unread():
            try:
                with path.open("rb") as file:
                    if os.fstat(file.fileno()).st_ino != inode:
                        return  # it moved on a moment ago
                    if not self._is_mine(file):
                        self.inode, self.at, self.before = inode, 0, b""
                    file.seek(self.at)
                    found = file.read()
            except FileNotFoundError:
                return
            complete = found[: found.rfind(b"\n") + 1]
            self.at += len(complete)
            self.before = (self.before + complete)[-COMPARED:]
            yield from filter(self.level.keeps, _lines(complete))

    def _is_mine(self, file: BinaryIO) -> bool:
        """Return whether this is the file that was read last."""
        if os.fstat(file.fileno()).st_ino != self.inode:
            return False
        file.seek(self.at - len(self.before))
        return file.read(len(self.before)) == self.before

    def _unread(self) -> list[tuple[Path, int]]:
        """Return the file that was read last and those that were begun after it, the present one last.

        The newest is listed first: a file that moves on meanwhile is then met twice, and none is missed.
        """
        found: dict[int, Path] = {}
        for path in reversed(files_of(self.path)):
            try:
                with path.open("rb") as file:
                    found[os.fstat(file.fileno()).st_ino] = path
                    if not self.inode or self._is_mine(file):
                        break
            except FileNotFoundError:
                continue
        return [(path, inode) for inode, path in reversed(found.items())]

    def last_lines(self, number: int) -> list[str]:
        """Return the last complete lines, over as many files as it takes; the next read begins after them."""
        older = files_of(self.path)[:-1]
        found = list(self.new_lines())
        while len(found) < number and older:
            found = [*Tail(self.name, older.pop(), level=Filter(self.level.least)).new_lines(), *found]
        return found[-number:]


def _lines(complete: bytes) -> list[str]:
    return [line.rstrip("\r") for line in complete.decode(errors="replace").split("\n")[:-1]]


def readable(line: str) -> str:
    """Return a service's JSON line as time, level, message and fields; return any other line unchanged."""
    try:
        fields = json.loads(line)
        head = f"{fields['time'][11:23]} {fields['level']:<7} {fields['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    rest = " ".join(f"{key}={value}" for key, value in fields.items() if key not in _SHOWN)
    error, details = str(fields.get("error", "")), str(fields.get("traceback", ""))
    below = [text for text in ("" if error in head else error, details) if text]
    return "\n".join([f"{head}  {rest}".rstrip(), *below])


def follow(
    folder: InstanceFolder,
    names: Sequence[str],
    show: Callable[[str, str], None],
    *,
    lines: int,
    on: Callable[[], bool],
    level: str = LEVELS[0],
) -> None:
    """Call `show(name, text)` for the last `lines` of each log, then for new lines while `on()`.

    Only lines of at least this level are shown and counted.
    """
    tails = [Tail(name, folder.log(name), level=Filter(LEVELS.index(level))) for name in names]
    for tail in tails:
        for line in tail.last_lines(lines) if lines else ():
            show(tail.name, readable(line))
    while on():
        for tail in tails:
            for line in tail.new_lines():
                show(tail.name, readable(line))
        time.sleep(0.1)
