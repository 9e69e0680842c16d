"""Notice that a disk was full and has room again.

SeaweedFS keeps refusing some folders after a full disk, until it is started again: each of its eight metadata
files that could not be written stays closed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from services.local.folders import MEGABYTE, free_space

FULL, ROOM = 16 * MEGABYTE, 128 * MEGABYTE
"""Free bytes below which a disk counts as full, and above which it has room again."""


@dataclass(slots=True)
class DiskWatch:
    """Watches the disk of a folder."""

    folder: Path
    free: Callable[[Path], int] = free_space
    was_full: bool = False

    def has_room_again(self) -> bool:
        """Return True once for each time that the disk was full and has room again."""
        free = self.free(self.folder)
        if free < FULL:
            self.was_full = True
        elif self.was_full and free > ROOM:
            self.was_full = False
            return True
        return False
