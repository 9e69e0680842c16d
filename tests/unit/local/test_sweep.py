"""What killed test sessions leave is found by the number in its folder's name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import conftest


def test_only_the_folders_of_ended_sessions_go(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    monkeypatch.setenv("REGISTA_HOME", str(tmp_path))
    gone = [f"test-{ended.pid}", f"test-{ended.pid}-chaos"]
    stay = [f"test-{os.getpid()}", "test-", "test-odd", f"test-{ended.pid}odd", "servers"]
    for name in (*gone, *stay):
        (tmp_path / name).mkdir()
    conftest._sweep_old_instances()
    assert sorted(folder.name for folder in tmp_path.iterdir()) == sorted(stay)
