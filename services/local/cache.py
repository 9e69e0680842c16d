"""Folders that are made once for all instances of a home: programs and packages that were fetched."""

from __future__ import annotations

import fcntl
import tempfile
from collections.abc import Callable
from pathlib import Path

from services.local.folders import home


def made_once(name: str, make: Callable[[Path], Path]) -> Path:
    """Return a folder of the cache. Where it is missing, one process makes it and others wait.

    `make` gets an empty temporary folder and returns the folder that it made in it, which is then renamed:
    the folder in the cache is complete or absent, also after kill -9.
    """
    target = home() / "cache" / name
    if target.exists():
        return target
    target.parent.mkdir(parents=True, exist_ok=True)
    with target.with_name(f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not target.exists():
            with tempfile.TemporaryDirectory(dir=target.parent) as folder:
                make(Path(folder)).rename(target)
    return target
