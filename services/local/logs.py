"""The logs of all processes as one stream for people: who says it, when, and what."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from services.local.places import Place

COLOURS = ("cyan", "magenta", "green", "yellow", "blue", "bright_cyan", "bright_magenta", "bright_green")
_SHOWN = ("time", "level", "logger", "message", "service", "trace", "error")


@dataclass(slots=True)
class Tail:
    """One log file, read on from where it was read last."""

    name: str
    path: Path
    at: int = 0

    def new_lines(self) -> Iterator[str]:
        """The complete lines that were added."""
        try:
            with self.path.open("rb") as file:
                file.seek(self.at)
                found = file.read(1 << 20)
        except FileNotFoundError:
            return
        complete = found[: found.rfind(b"\n") + 1]
        self.at += len(complete)
        yield from complete.decode(errors="replace").splitlines()


def readable(line: str) -> str:
    """A JSON line of a service as time, level, message and what else it carries; any other line as it is."""
    try:
        said = json.loads(line)
        head = f"{said['time'][11:23]} {said['level']:<7} {said['message']}"
    except (ValueError, KeyError, TypeError):
        return line
    rest = " ".join(f"{key}={value}" for key, value in said.items() if key not in _SHOWN)
    error = f"\n{said['error']}" if "error" in said else ""
    return f"{head}  {rest}".rstrip() + error


def follow(
    place: Place,
    names: Sequence[str],
    show: Callable[[str, str], None],
    *,
    lines: int,
    on: Callable[[], bool],
) -> None:
    """Calls `show(name, text)` for the last `lines` of each log, then for every new line as long as `on()`."""
    tails = [Tail(name, place.log(name)) for name in names]
    for tail in tails:
        for line in list(tail.new_lines())[-lines:] if lines else ():
            show(tail.name, readable(line))
    while on():
        for tail in tails:
            for line in tail.new_lines():
                show(tail.name, readable(line))
        time.sleep(0.1)
