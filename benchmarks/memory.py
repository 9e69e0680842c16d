"""Five services idle: resident memory of the Python processes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.servers import Servers

SERVICES = ("registry", "approval", "artifact", "cleanup", "audit")


def resident(pid: int) -> float:
    """Return the resident memory in MiB."""
    [line] = [
        line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS:")
    ]
    return int(line.split()[1]) / 1024


async def measure(servers: Servers) -> Sequence[Figure]:
    with servers.running(*SERVICES) as pids:
        await asyncio.sleep(10)
        each = {name: resident(pid) for name, pid in pids.items()}
    note = ", ".join(f"{name} {mib:.0f}" for name, mib in each.items())
    return [
        Figure(
            "five services idle, resident memory",
            sum(each.values()),
            "MiB",
            650,
            smaller_is_better=True,
            note=note,
        )
    ]
