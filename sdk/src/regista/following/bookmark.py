"""A file that keeps how far events were handled, so that a later run continues there."""

from __future__ import annotations

import os
import time
from pathlib import Path

import msgspec

from regista.errors import Invalid
from regista.local_errors import writing
from regista.wire.event_feed import BadCursor, position_of

SAVE_EVERY = 0.2
"""Seconds between two writes of the file while events come: after a crash these may come again."""


class _File(msgspec.Struct):
    url: str
    cursor: str


class Bookmark:
    """The bookmark of one reader of the registry at `url`. Two readers need two files."""

    def __init__(self, path: Path, url: str) -> None:
        self._path, self._url = path, url.rstrip("/")
        self._cursor = ""
        self._stored, self._stored_at = "", 0.0

    def load(self) -> str:
        """Return the cursor in the file, "" where there is no file. Raises Invalid."""
        try:
            kept = msgspec.json.decode(self._path.read_bytes(), type=_File)
            position_of(kept.cursor)
        except FileNotFoundError:
            return ""
        except (OSError, msgspec.MsgspecError, UnicodeDecodeError, BadCursor) as e:
            raise Invalid(
                "no_bookmark",
                f"{self._path} is no bookmark of events: {e}",
                advice="Name another file, or delete it and begin with a time (since).",
            ) from None
        if kept.url != self._url:
            raise Invalid(
                "bookmark_of_another_registry",
                f"{self._path} is a bookmark of {kept.url}, not of {self._url}",
                advice="Name another file for this registry.",
            )
        self._cursor = self._stored = kept.cursor
        return kept.cursor

    def handled(self, cursor: str) -> None:
        """Keep that everything up to the cursor was handled; write it now, or soon."""
        self._cursor = cursor
        if time.monotonic() - self._stored_at >= SAVE_EVERY:
            self.save()

    def save(self) -> None:
        """Write the file, unless it is up to date. Another process sees the old file or the new one."""
        if self._cursor in {"", self._stored}:
            return
        content = msgspec.json.encode(_File(self._url, self._cursor))
        new = self._path.with_name(f".{self._path.name}.{os.getpid()}")
        with writing(self._path):
            self._path.parent.mkdir(parents=True, exist_ok=True)
            try:
                with new.open("wb") as file:
                    file.write(content + b"\n")
                    file.flush()
                    os.fsync(file.fileno())
                new.replace(self._path)
            finally:
                new.unlink(missing_ok=True)
        self._stored, self._stored_at = self._cursor, time.monotonic()
