"""The code of a training: the digest of what was declared, and the git revision that it stands in."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

from regista.files import hash_file, manifest
from regista.local_errors import reading
from regista.urls import without_credentials
from regista.wire.digests import FileEntry, digest


def code_identity(paths: Sequence[Path], cells: Sequence[str] = ()) -> dict[str, str] | None:
    """Return `{digest, revision, repository}` as far as known.

    The digest covers the declared files, or the cells of a notebook, only: the revision of a monorepo changes
    every night.
    """
    files: list[FileEntry] = []
    for path, name in _named(paths).items():
        found = sorted(path.rglob("*.py")) if path.is_dir() else [path]
        for file in found:
            with reading(str(file)):
                checksum, size = hash_file(file)
            files.append(
                FileEntry(
                    (name / file.relative_to(path)).as_posix() if path.is_dir() else name.as_posix(),
                    size,
                    checksum,
                )
            )
    identity: dict[str, str] = {}
    if files:
        identity["digest"] = manifest(files).digest
    elif cells:
        identity["digest"] = digest({"cells": list(cells)})
    return (identity | _git(paths[0].parent if paths else Path())) or None


def _named(paths: Sequence[Path]) -> dict[Path, Path]:
    """Return the name of each path in the digest.

    It is the file name; where two are equal, the path from the common folder.
    """
    once = list({path.resolve(): path for path in paths}.values())
    if len({path.name for path in once}) == len(once):
        return {path: Path(path.name) for path in once}
    top = os.path.commonpath([path.resolve().parent for path in once])
    return {path: path.resolve().relative_to(top) for path in once}


def _git(folder: Path) -> dict[str, str]:
    revision = _git_output(folder, "rev-parse", "HEAD")
    if not revision:
        return {}
    dirty = "-dirty" if _git_output(folder, "status", "--porcelain", "--untracked-files=no") else ""
    origin = without_credentials(_git_output(folder, "config", "--get", "remote.origin.url"))
    return {"revision": revision + dirty} | ({"repository": origin} if origin else {})


def _git_output(folder: Path, *arguments: str) -> str:
    try:
        done = subprocess.run(  # noqa: S603
            ["git", "-C", str(folder), *arguments],  # noqa: S607
            capture_output=True,
            text=True,
            timeout=10,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""
