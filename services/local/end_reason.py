"""Find in a log, in one line, why its process ended."""

from __future__ import annotations

import json
import re
from pathlib import Path

from services.local.log_writer import files_of

LOOK_BACK = 64 * 1024
"""Bytes at the end of a log in which the reason is searched."""
LONGEST = 500
_FAULT = re.compile(r"FATAL|PANIC|panic:|\bERROR\b|^[\w.]+(Error|Exception)\b|^error:", re.IGNORECASE)


def end_reason(log: Path, began: int = 0) -> str:
    """Return why the process that wrote the end of the log ended, or "" when the log does not show it.

    A service logs one critical line of JSON. Of other programs it is the last line that names a fault, else
    the last line. `began` is the size of the log when the process started, if no newer file was begun since.
    """
    lines = _last_lines(log, began)
    for line in reversed(lines):
        if (fields := _fields(line)) and fields.get("level") == "critical":
            return _short(": ".join(str(fields[name]) for name in ("message", "error") if fields.get(name)))
    plain = [line.strip() for line in lines if line.strip() and not _fields(line)]
    faults = [line for line in plain if _FAULT.search(line)]
    return _short((faults or plain or [""])[-1])


def _last_lines(log: Path, began: int) -> list[str]:
    for path in reversed(files_of(log)):
        try:
            with path.open("rb") as file:
                size = file.seek(0, 2)
                file.seek(max(size - LOOK_BACK, began if began <= size else 0))
                if read := file.read():
                    return read.decode(errors="replace").splitlines()
        except FileNotFoundError:
            continue
        if began:
            return []
    return []


def _fields(line: str) -> dict[str, object]:
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _short(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} …"
