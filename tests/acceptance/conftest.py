"""The demo's story, told once for all tests here, on servers of its own that are stopped at its end; what they keep is left."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from services.local import running
from services.local.places import Place


@dataclass(frozen=True, slots=True)
class Told:
    """What the story said, and where its servers kept what they were told."""

    place: Place
    code: int
    said: str
    errors: str


@pytest.fixture(scope="session")
def told() -> Iterator[Told]:
    place = Place.named(f"test-{os.getpid()}-story")
    try:
        command = [sys.executable, "-m", "services.local.demo", "--once", "--instance", place.directory.name]
        ran = subprocess.run(command, capture_output=True, text=True, check=False, timeout=540)
        yield Told(place, ran.returncode, ran.stdout, ran.stderr)
    finally:
        running.stop(place)
        shutil.rmtree(place.directory, ignore_errors=True)
