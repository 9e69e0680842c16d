"""Measure the processor time of processes and their children (Linux)."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

TICKS = os.sysconf("SC_CLK_TCK")


def _stat(pid: int) -> list[str]:
    """Return the fields of /proc/PID/stat after the command; utime and stime are the 12th and 13th."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def own(pid: int, *, reaped: bool = False) -> float:
    with contextlib.suppress(OSError):
        fields = _stat(pid)
        return sum(map(int, fields[11 : 15 if reaped else 13])) / TICKS
    return 0.0


def children_by_parent() -> dict[int, list[int]]:
    """Return the children of each process."""
    found: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal():
            with contextlib.suppress(OSError):
                found.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
    return found


def tree(pid: int, children: dict[int, list[int]]) -> float:
    """Processor seconds of a process and of its children, those that ended included."""
    return own(pid, reaped=True) + sum(tree(child, children) for child in children.get(pid, []))


def backends(postmaster: int, children: dict[int, list[int]]) -> dict[str, float]:
    """Return PostgreSQL's processes by what they do: backends by their role, the others by their title."""
    spent: dict[str, float] = {"postgres (ended)": own(postmaster, reaped=True)}
    for pid in children.get(postmaster, []):
        with contextlib.suppress(OSError):
            title = Path(f"/proc/{pid}/cmdline").read_bytes().rstrip(b"\0 ").decode().partition(": ")[2]
            name = "postgres " + (title.split(" ")[0] if "127.0.0.1" in title else title)
            spent[name] = spent.get(name, 0) + own(pid)
    return spent
