"""Folders of the cache are made once, whole or not at all."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event

import pytest

from services.local.cache import made_once

PROGRAM = """
import sys
from pathlib import Path
from services.local.cache import made_once

def make(folder: Path) -> Path:
    print("made", flush=True)
    sys.stdin.readline()
    made = folder / "made"
    made.mkdir()
    (made / "program").write_text("complete")
    return made

print((made_once("tool-1", make) / "program").read_text())
"""


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REGISTA_HOME", str(tmp_path))
    return tmp_path / "cache"


def a_process() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )


def test_while_one_makes_a_folder_others_wait_and_get_the_same(cache: Path) -> None:
    made, another = list[str](), Event()

    def make(folder: Path) -> Path:
        made.append(folder.name)
        if len(made) > 1:
            another.set()
        another.wait(0.3)  # without the lock the other one comes here, too
        (folder / "made").mkdir()
        return folder / "made"

    with ThreadPoolExecutor(2) as threads:
        results = [*threads.map(lambda _: made_once("tool-1", make), range(2))]
    assert (len(made), results) == (1, [cache / "tool-1"] * 2)


def test_a_process_that_is_killed_while_it_makes_a_folder_leaves_none(cache: Path) -> None:
    killed = a_process()
    assert killed.stdout is not None
    assert killed.stdout.readline() == "made\n"
    killed.kill()
    killed.communicate()
    assert not (cache / "tool-1").exists()
    assert a_process().communicate("\n", 60)[0] == "made\ncomplete\n"


def test_a_folder_whose_making_fails_is_made_by_the_next_call(cache: Path) -> None:
    def fail(folder: Path) -> Path:
        (folder / "half").write_text("")
        raise OSError("no network")

    def make(folder: Path) -> Path:
        (folder / "made").mkdir()
        return folder / "made"

    with pytest.raises(OSError, match="no network"):
        made_once("tool-1", fail)
    assert [one.name for one in cache.iterdir()] == ["tool-1.lock"]
    assert made_once("tool-1", make) == cache / "tool-1"


def test_a_folder_that_exists_is_not_made_again(cache: Path) -> None:
    (cache / "tool-1").mkdir(parents=True)
    assert made_once("tool-1", pytest.fail) == cache / "tool-1"
