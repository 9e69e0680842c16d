"""One short line for each thing that happened, with how long it took."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import TextIO, TypeVar

from services.local.places import LocalError

T = TypeVar("T")
PAUSE = 0.03  # seconds between two looks


class StoryFailed(LocalError):  # noqa: N818 - it says what happened
    """Something did not happen that the story promises."""


@dataclass(slots=True)
class Teller:
    """Prints the story. Colours only on a terminal."""

    out: TextIO = field(default_factory=lambda: sys.stdout)
    began: float = field(default_factory=time.monotonic)

    def act(self, number: int, title: str) -> None:
        self._print(f"\n{self._coloured('1', f'{number}. {title}')}")

    def line(self, text: str, seconds: float | None = None) -> None:
        """One thing that happened."""
        took = f"{seconds:6.2f} s" if seconds is not None else " " * 8
        self._print(f"{self._coloured('2', took)}  {text}")

    def plain(self, text: str) -> None:
        self._print(text)

    @property
    def elapsed(self) -> float:
        return time.monotonic() - self.began

    def _coloured(self, code: str, text: str) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self.out.isatty() else text

    def _print(self, text: str) -> None:
        print(text, file=self.out, flush=True)


class Timed:
    """How long it has been since this was made."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began


async def until(look: Callable[[], Awaitable[T | None]], what: str, seconds: float = 30.0) -> T:
    """The first answer of `look` that is not None. Raises StoryFailed, naming what was awaited."""
    deadline = time.monotonic() + seconds
    while True:
        found = await look()
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise StoryFailed(
                f"{what} did not happen within {seconds:.0f} s: `regista logs` and `regista status` say why"
            )
        await asyncio.sleep(PAUSE)
