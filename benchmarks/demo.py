"""Measure `make demo` at its second run."""

from __future__ import annotations

import asyncio
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

from benchmarks.figures import Figure
from benchmarks.servers import Servers
from services.local.folders import home


async def measure(_servers: Servers) -> Sequence[Figure]:
    with tempfile.TemporaryDirectory(dir=home()) as folder:
        Path(folder, "cache").symlink_to(home() / "cache")
        for _ in range(2):
            began = time.perf_counter()
            environment = os.environ | {"REGISTA_HOME": folder}
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "services.local.demo",
                "--once",
                env=environment,
                stdout=asyncio.subprocess.DEVNULL,
            )
            if await process.wait():
                raise RuntimeError("the demo failed")
            took = time.perf_counter() - began
        shutil.rmtree(folder, ignore_errors=True)
        Path(folder).mkdir()
    return [Figure("make demo, second run", took, "s", 30, smaller_is_better=True)]
