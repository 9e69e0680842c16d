"""The demo runs once for all tests here, on its own servers, which it stops at its end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from services.local import lifecycle
from services.local.folders import InstanceFolder


@dataclass(frozen=True, slots=True)
class DemoRun:
    """The output of the demo, and the folder of its servers."""

    folder: InstanceFolder
    code: int
    output: str
    errors: str


@pytest.fixture(scope="session")
def demo() -> Iterator[DemoRun]:
    folder = InstanceFolder.named(f"test-{os.getpid()}-story")
    try:
        command = [sys.executable, "-m", "services.local.demo", "--once", "--instance", folder.directory.name]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=540)
        yield DemoRun(folder, ran.returncode, ran.stdout, ran.stderr)
    finally:
        lifecycle.stop(folder)
        shutil.rmtree(folder.directory, ignore_errors=True)
