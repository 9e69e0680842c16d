"""Measure a version through all services in an older commit and in this checkout, turn about.

`python -m benchmarks.before COMMIT [--turns N] [--versions N] [--over http|kafka]`

The older commit is unpacked into a temporary folder and gets this checkout's load generator, so that both are
measured in the same way and on the same machine. Read the ratio: absolute values depend on what else runs.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent
COPIED = ("chain.py", "load.py", "processor.py", "trained.py")
"""What the older commit gets of this folder: nothing of it depends on how the services are built."""
PRINTED = {
    "ms of processor time a version": re.compile(r"^([\d.,]+) ms of processor time", re.MULTILINE),
    "versions/s until drained": re.compile(r"^([\d.,]+) versions/s", re.MULTILINE),
}


def unpack(commit: str, folder: Path) -> None:
    """Write the files of a commit, with the load generator of this checkout, into an empty folder."""
    archive = folder / "commit.tar"
    subprocess.run(["git", "archive", "-o", str(archive), commit], cwd=HERE, check=True)
    shutil.unpack_archive(archive, folder, filter="data")
    archive.unlink()
    for name in COPIED:
        shutil.copy(HERE / "benchmarks" / name, folder / "benchmarks" / name)


def measured(checkout: Path, arguments: list[str]) -> dict[str, float]:
    """Run the measurement in a checkout and return what it printed. Raises CalledProcessError."""
    path = f"{checkout}{os.pathsep}{checkout / 'sdk' / 'src'}"
    output = subprocess.run(
        [sys.executable, "-m", "benchmarks.chain", *arguments],
        cwd=checkout,
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    ).stdout
    found = {name: pattern.search(output) for name, pattern in PRINTED.items()}
    return {name: float(match[1].replace(",", "")) for name, match in found.items() if match}


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.before", description=__doc__)
    parser.add_argument("commit")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--versions", default="3000")
    parser.add_argument("--over", choices=("http", "kafka"), default="http")
    chosen = parser.parse_args()
    arguments = ["--versions", chosen.versions, "--over", chosen.over]
    with tempfile.TemporaryDirectory(prefix="regista-before-") as folder:
        unpack(chosen.commit, Path(folder))
        checkouts = {chosen.commit: Path(folder), "this checkout": HERE}
        found: dict[str, list[dict[str, float]]] = {name: [] for name in checkouts}
        for turn in range(chosen.turns):
            for name, checkout in checkouts.items():
                found[name].append(measured(checkout, arguments))
                print(f"turn {turn + 1}, {name}: {found[name][-1]}", flush=True)
    for what in PRINTED:
        before, now = (statistics.median(one[what] for one in turns) for turns in found.values())
        print(f"{what}: {before:,.2f} before, {now:,.2f} now, {now / before:.2f} times")


if __name__ == "__main__":
    main()
