"""What was acknowledged: one JSON object a line, on disk before the caller goes on."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO


@dataclass(slots=True)
class Journal:
    """Appends to a file and syncs it. The checker reads the file, not this object."""

    path: Path
    file: BinaryIO = field(init=False)

    def __post_init__(self) -> None:
        self.file = self.path.open("ab", buffering=0)

    def write(self, what: str, **facts: Any) -> None:
        """Record one acknowledgement or one fault."""
        line = {"what": what, "at": round(time.time(), 3), **facts}
        self.file.write(json.dumps(line, sort_keys=True).encode() + b"\n")
        os.fsync(self.file.fileno())

    def close(self) -> None:
        self.file.close()


def read_journal(path: Path) -> Iterator[dict[str, Any]]:
    """Yield the lines of a journal."""
    for line in path.read_bytes().splitlines():
        yield json.loads(line)
