"""Merge the logs of all processes into one stream for people."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.local.folders import InstanceFolder

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
_SHOWN = ("time", "level", "logger", "message", "service", "trace", "error")


@dataclass(slots=True)
class Tail:
    """One log file, read from where the last read ended."""

    name: str
    path: Path
    at: int = 0

    def new_lines(self) -> Iterator[str]:
        """Return the complete lines that were added."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.at)
                found = file.read(1 << 20)
        except FileNotFoundError:
            return
        complete = found[: found.rfind(b"\n") + 1]
        self.at += len(complete)
        yield from (line.rstrip("\r") for line in complete.decode(errors="replace").split("\n")[:-1])


def readable(line: str) -> str:
    """Return a service's JSON line as time, level, message and fields; return any other line unchanged."""
    try:
        fields = json.loads(line)
        head = f"{fields['time'][11:23]} {fields['level']:<7} {fields['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    rest = " ".join(f"{key}={value}" for key, value in fields.items() if key not in _SHOWN)
    error = f"\n{fields['error']}" if "error" in fields else ""
    return f"{head}  {rest}".rstrip() + error


def follow(
    folder: InstanceFolder,
    names: Sequence[str],
    show: Callable[[str, str], None],
    *,
    lines: int,
    on: Callable[[], bool],
) -> None:
    """Call `show(name, text)` for the last `lines` of each log, then for new lines while `on()`."""
    tails = [Tail(name, folder.log(name)) for name in names]
    for tail in tails:
        for line in list(tail.new_lines())[-lines:] if lines else ():
            show(tail.name, readable(line))
    while on():
        for tail in tails:
            for line in tail.new_lines():
                show(tail.name, readable(line))
        time.sleep(0.1)
