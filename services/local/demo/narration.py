"""Print one short line for each step, with its duration."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TextIO, TypeVar

from regista.cli.terminal.output import colors
from services.local.folders import LocalError

T = TypeVar("T")
PAUSE = 0.03  # seconds between two queries


class DemoError(LocalError):
    """A step of the demo did not happen."""


@dataclass(slots=True)
class Narrator:
    """Prints the demo's lines; in colour only on a terminal."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    began: float = field(default_factory=time.monotonic)

    def act(self, number: int, title: str) -> None:
        self._print(f"\n{self._coloured('1', f'{number}. {title}')}")

    def line(self, text: str, seconds: float | None = None) -> None:
        """Print one step."""
        took = f"{seconds:6.2f} s" if seconds is not None else " " * 8
        self._print(f"{self._coloured('2', took)}  {text}")

    def plain(self, text: str) -> None:
        self._print(text)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def _coloured(self, code: str, text: str) -> str:
        wanted = self.out.isatty() if (chosen := colors()) is None else chosen
        return f"\x1b[{code}m{text}\x1b[0m" if wanted else text

    def _print(self, text: str) -> None:
        print(text, file=self.out, flush=True)


class Timed:
    """A stopwatch that starts when it is created."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


async def until(look: Callable[[], Awaitable[T | None]], what: str, seconds: float = 30.0) -> T:
    """Return the first answer of `look` that is not None.

    Raises DemoError with the name of what was awaited.
    """
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise DemoError(
                f"{what} did not happen within {seconds:.0f} s: `regista logs` and `regista status` show why"
            )
        await asyncio.sleep(PAUSE)
